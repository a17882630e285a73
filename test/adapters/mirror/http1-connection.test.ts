// What a sender that speaks HTTP/1 sees of the receiver, and what the engine gets. Real sockets.
import { afterEach, describe, expect, it } from 'vitest';
import { closeReceivers, ok, Receiver, until } from './receiver.ts';

afterEach(closeReceivers);

const post = (length: number, more = ''): string =>
  `POST /upload HTTP/1.1\r\nHost: a.test\r\n${more}Content-Length: ${length}\r\n\r\n`;

describe('an answer', () => {
  it('comes when the body has ended, and not before', async () => {
    const { engine, ...receiver } = await start();
    const sender = await receiver.sender();
    sender.send(post(5));
    sender.send('hell');
    await until(() => receiver.memory.usedBytes > 0);
    expect(sender.answers).toEqual([]);
    sender.send('o');
    expect(await sender.answered(1)).toEqual([ok]);
    await until(() => engine.jobs.length === 1);
  });

  it('does not wait for the analysis', async () => {
    const { engine, ...receiver } = await start();
    engine.holds = true;
    const sender = await receiver.sender();
    for (let count = 1; count <= 3; count += 1) {
      sender.send('GET / HTTP/1.1\r\n\r\n');
      await sender.answered(count);
    }
    expect(sender.answers).toEqual([ok, ok, ok]);
  });

  it('comes for each of several requests in one packet, in one write', async () => {
    const { receiver } = await start();
    const sender = await receiver.sender();
    sender.send(`GET /1 HTTP/1.1\r\n\r\n${post(2)}hiHEAD /3 HTTP/1.1\r\n\r\n`);
    expect(await sender.answered(3)).toEqual([ok, ok, ok]);
    const copies = await receiver.copies(3);
    expect(copies.map(({ request, body }) => [request.target, body.toString()])).toEqual([
      ['/1', ''],
      ['/upload', 'hi'],
      ['/3', ''],
    ]);
  });

  it.each([
    ['GET / HTTP/1.1\r\n\r\n', ok, false],
    ['GET / HTTP/1.1\r\nConnection: close\r\n\r\n', `${ok}\r\nConnection: close`, true],
    ['GET / HTTP/1.0\r\n\r\n', `${ok}\r\nConnection: close`, true],
    ['GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n', `${ok}\r\nConnection: keep-alive`, false],
    ['GET /old\r\n\r\n', `${ok}\r\nConnection: close`, true],
  ])('to %j says whether the connection stays', async (request, answer, closes) => {
    const { receiver } = await start();
    const sender = await receiver.sender();
    sender.send(request);
    expect(await sender.answered(1)).toEqual([answer]);
    if (closes) await sender.closed;
    else {
      sender.send(request);
      expect(await sender.answered(2)).toHaveLength(2);
    }
  });

  it('says 100 Continue to who waits for it, and only to him', async () => {
    const { receiver } = await start();
    const sender = await receiver.sender();
    sender.send(post(2, 'Expect: 100-continue\r\n'));
    expect(await sender.answered(1)).toEqual(['HTTP/1.1 100 Continue']);
    sender.send('hi');
    await sender.answered(2);
    sender.send(`${post(2, 'Expect: 100-continue\r\n')}hi`);
    sender.send(`${post(2, 'Expect: foo\r\n')}hi`);
    expect(await sender.answered(4)).toEqual(['HTTP/1.1 100 Continue', ok, ok, ok]);
  });
});

describe('a body', () => {
  it('in chunks arrives whole, with its trailers', async () => {
    const { receiver } = await start();
    const sender = await receiver.sender();
    sender.send('POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n');
    sender.send('2;x\r\nde\r\n0\r\nX-Sum: <script>\r\n\r\n');
    await sender.answered(1);
    const [copy] = await receiver.copies(1);
    expect([copy?.body.toString(), copy?.bodySize, copy?.whole]).toEqual(['abcde', 5, true]);
    expect(copy?.trailers.toString()).toBe('X-Sum: <script>\r\n');
  });

  it.each([1, 2000, 1_000_000, 20_000_000])('of %d bytes is read to its end', async (size) => {
    const { receiver } = await start({ bodyLimitBytes: 10_000_000 });
    const sender = await receiver.sender();
    sender.send(Buffer.concat([Buffer.from(post(size)), Buffer.alloc(size, 'x')]));
    const [answer] = await sender.answered(1);
    expect(answer?.startsWith('HTTP/1.1 200')).toBe(true);
    const [copy] = await receiver.copies(1);
    expect(copy?.body.length).toBe(Math.min(size, 10_000_000));
    expect(copy?.whole).toBe(size <= 10_000_000);
    if (size > 10_000_000) expect(copy?.bodySize).toBe(size);
  });

  it('a little above the limit is read on, and its connection used again', async () => {
    const { receiver } = await start({ bodyLimitBytes: 10 });
    const sender = await receiver.sender();
    sender.send(`${post(500_000)}${'x'.repeat(500_000)}GET /next HTTP/1.1\r\n\r\n`);
    expect(await sender.answered(2)).toEqual([ok, ok]);
    const [first, next] = await receiver.copies(2);
    expect([first?.body.length, first?.bodySize, next?.request.target]).toEqual([10, 500_000, '/next']);
    expect(receiver.told).toEqual(['cut: too-large']);
  });

  it('without an end is answered all the same, and read on', async () => {
    const { receiver } = await start({ bodyLimitBytes: 10 });
    const sender = await receiver.sender();
    sender.send('POST /stream HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n');
    const chunk = `10000\r\n${'x'.repeat(65_536)}\r\n`;
    for (let count = 0; count < 40; count += 1) sender.send(chunk);
    expect(await sender.answered(1)).toEqual([`${ok}\r\nConnection: close`]);
    expect(sender.socket.destroyed).toBe(false);
    sender.send('0\r\n\r\n');
    await sender.closed;
    expect(sender.answers).toHaveLength(1);
    expect(await receiver.copies(1)).toHaveLength(1);
  });

  it('that is announced and never comes does not keep its head from being analysed', async () => {
    const { receiver } = await start();
    const sender = await receiver.sender();
    sender.send(post(3000));
    sender.socket.end();
    const [copy] = await receiver.copies(1);
    expect([copy?.request.target, copy?.bodySize, copy?.whole]).toEqual(['/upload', 3000, false]);
  });

  it('that breaks off is analysed as far as it came', async () => {
    const { receiver } = await start();
    const sender = await receiver.sender();
    sender.send(`${post(3000)}<script>`);
    await until(() => receiver.memory.usedBytes > 0);
    sender.socket.resetAndDestroy();
    const [copy] = await receiver.copies(1);
    expect([copy?.body.toString(), copy?.whole]).toEqual(['<script>', false]);
    expect(receiver.memory.usedBytes).toBe(0);
  });

  it('that stops arriving is analysed as far as it came, and its connection closed', async () => {
    const { receiver } = await start({ stallMs: 50 });
    const sender = await receiver.sender();
    sender.send(`${post(3000)}<script>`);
    await sender.closed;
    expect((await receiver.copies(1))[0]?.body.toString()).toBe('<script>');
    expect(receiver.told).toEqual(['stalled', 'cut: cut-off']);
  });

  it('that nobody looks at is not kept', async () => {
    const { receiver } = await start();
    const sender = await receiver.sender();
    sender.send(`${post(9, 'Content-Type: image/png\r\n')}attackatt`);
    await sender.answered(1);
    const [copy] = await receiver.copies(1);
    expect([copy?.body.length, copy?.bodySize, copy?.whole]).toEqual([0, 9, true]);
  });

  it('has room, until many arrive at once: then the largest goes on without', async () => {
    const { receiver } = await start({ memoryBytes: 30_000 });
    const [large, small] = [await receiver.sender(), await receiver.sender()];
    large.send(post(50_000) + 'l'.repeat(25_000));
    await until(() => receiver.memory.usedBytes > 25_000);
    small.send(post(10_000) + 's'.repeat(9000));
    const [copy] = await receiver.copies(1);
    expect([copy?.body.toString().slice(0, 1), copy?.bodySize, copy?.whole]).toEqual(['l', 50_000, false]);
    small.send('s'.repeat(1000));
    large.send('l'.repeat(25_000));
    expect([await small.answered(1), await large.answered(1)]).toEqual([[ok], [ok]]);
    expect((await receiver.copies(2))[1]).toMatchObject({ bodySize: 10_000, whole: true });
    expect([receiver.told, receiver.memory.usedBytes]).toEqual([['cut: memory'], 0]);
  });
});

describe('a head', () => {
  it('has room, until many arrive at once: then the largest is analysed as far as it came', async () => {
    const { receiver } = await start({ memoryBytes: 30_000 });
    const [large, small] = [await receiver.sender(), await receiver.sender()];
    large.send(`GET /large HTTP/1.1\r\nA: ${'l'.repeat(25_000)}`);
    await until(() => receiver.memory.usedBytes > 25_000);
    small.send(`GET /small HTTP/1.1\r\nA: ${'s'.repeat(9000)}`);
    await large.closed;
    expect((await receiver.copies(1))[0]?.request.target).toBe('/large');
    small.send('\r\n\r\n');
    expect(await small.answered(1)).toEqual([ok]);
    expect((await receiver.copies(2))[1]).toMatchObject({ whole: true });
    expect(receiver.memory.usedBytes).toBe(0);
  });
});

describe('a connection', () => {
  it('is never closed while it is idle', async () => {
    const { receiver } = await start({ stallMs: 20 });
    const sender = await receiver.sender();
    sender.send('GET / HTTP/1.1\r\n\r\n');
    await sender.answered(1);
    await new Promise((resolve) => setTimeout(resolve, 150));
    sender.send('GET / HTTP/1.1\r\n\r\n');
    expect(await sender.answered(2)).toEqual([ok, ok]);
  });

  it.each([
    ['what is no HTTP', '\x16\x03\x01\x00\n\n', '400 Bad Request', []],
    [
      'a head that is too long',
      `GET /attack HTTP/1.1\r\nA: ${'x'.repeat(1_100_000)}\r\n\r\n`,
      '431 Request Header Fields Too Large',
      ['/attack'],
    ],
    [
      'framing that nobody knows',
      'POST /attack HTTP/1.1\r\nTransfer-Encoding: x\r\n\r\nabc',
      '400 Bad Request',
      ['/attack'],
    ],
  ])('with %s is refused, and what came is analysed', async (_name, text, status, targets) => {
    const { receiver } = await start();
    const sender = await receiver.sender();
    sender.send(text);
    const [answer] = await sender.answered(1);
    expect(answer).toBe(`HTTP/1.1 ${status}\r\nContent-Length: 0\r\nConnection: close`);
    await sender.closed;
    expect((await receiver.copies(targets.length)).map(({ request }) => request.target)).toEqual(targets);
  });

  it('whose sender takes none of its answers is closed, in bounded memory', async () => {
    const { receiver } = await start();
    const sender = await receiver.sender();
    sender.socket.pause();
    const many = 'GET / HTTP/1.1\r\n\r\n'.repeat(2000);
    const feed = (): void => {
      while (!sender.socket.destroyed && sender.socket.write(many));
      if (!sender.socket.destroyed) sender.socket.once('drain', feed);
    };
    feed();
    await until(() => receiver.server.connections === 0);
  });

  it('tells of the address it came from', async () => {
    const { receiver } = await start();
    const sender = await receiver.sender();
    sender.send('GET / HTTP/1.1\r\n\r\n');
    const [copy] = await receiver.copies(1);
    expect(copy).toMatchObject({
      peerAddress: '127.0.0.1',
      peerPort: sender.socket.localPort,
      listener: 0,
      tls: false,
    });
  });
});

async function start(options?: Parameters<typeof Receiver.start>[0]) {
  const receiver = await Receiver.start(options);
  return {
    receiver,
    engine: receiver.engine,
    memory: receiver.memory,
    sender: () => receiver.sender(),
  };
}
