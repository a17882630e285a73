import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { afterEach, describe, expect, it } from 'vitest';
import type { Notify, NotifyAnswer, NotifyAnswerer } from '../../../src/adapters/haproxy/notify.ts';
import { SpopServer, type SpopServerOptions } from '../../../src/adapters/haproxy/server.ts';
import type { ServerObserver } from '../../../src/adapters/haproxy/server-observer.ts';
import { text } from '../../../src/adapters/haproxy/set-var.ts';
import {
  type Action,
  encodeHaproxyDisconnect,
  encodeHaproxyHello,
  encodeNotify,
  SpopError,
  StatusCode,
} from '../../../src/spop/index.ts';
import { variablesOf } from '../../support/spoe-messages.ts';
import {
  decodeAgentFrames,
  HEALTHCHECK_HELLO,
  SpopClient,
  TYPICAL_HELLO,
} from '../../support/spop-client.ts';

const defaults: SpopServerOptions = {
  maxFrameSizeBytes: 65_536,
  maxFramesInFlight: 32,
  maxConnections: 100,
  helloTimeoutMs: 60_000,
  idleTimeoutMs: 60_000,
};

const answer = (): Action[] => [text('answer', 'yes')];

type Answering = (notify: Notify) => NotifyAnswer | Promise<NotifyAnswer>;

/** An answerer that answers with what a function returns, now or later. */
function answering(answerTo: Answering): NotifyAnswerer {
  return {
    answer(notify, done) {
      const given = answerTo(notify);
      if (given instanceof Promise) void given.then(done);
      else done(given);
    },
  };
}

const cleanUp: (() => void)[] = [];
afterEach(() => {
  for (const undo of cleanUp.splice(0).reverse()) undo();
});

/** What a server told, and a way to wait for it. */
class ToldServer implements ServerObserver {
  readonly told: string[] = [];
  readonly causes: unknown[] = [];
  #waiting: { readonly line: string; readonly resolve: () => void }[] = [];

  connected = () => this.#tell('connected');
  refused = () => this.#tell('refused');
  disconnected = (status: number) => this.#tell(`disconnected ${status}`);
  protocolError = (error: SpopError) => this.#tell(`protocol ${error.code}`);
  truncatedFrame = () => this.#tell('truncated');
  timedOut = (which: string) => this.#tell(`timed out: ${which}`);
  socketError = () => this.#tell('socket error');
  frameFailed = (cause: unknown) => {
    this.causes.push(cause);
    this.#tell('frame failed');
  };

  until(line: string): Promise<void> {
    if (this.told.includes(line)) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ line, resolve }));
  }

  #tell(line: string): void {
    this.told.push(line);
    for (const waiter of this.#waiting) if (waiter.line === line) waiter.resolve();
    this.#waiting = this.#waiting.filter((waiter) => waiter.line !== line);
  }
}

async function start(changes: Partial<SpopServerOptions> = {}, answerer: NotifyAnswerer = answering(answer)) {
  const observer = new ToldServer();
  const server = new SpopServer({ ...defaults, ...changes }, answerer, observer);
  const where = await server.listen({ host: '127.0.0.1', port: 0 });
  cleanUp.push(() => server.close());
  const port = Number(where.split(':').at(-1));
  return { server, observer, where, port };
}

async function open(port: number): Promise<SpopClient> {
  const client = await SpopClient.connect({ port });
  cleanUp.push(() => client.socket.destroy());
  return client;
}

async function opened(port: number): Promise<SpopClient> {
  const client = await open(port);
  await client.hello();
  return client;
}

/** Each of the agent's writes as it arrives: over loopback, one write within a segment is one chunk. */
function chunksOf(client: SpopClient): Buffer[] {
  const chunks: Buffer[] = [];
  client.socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  return chunks;
}

/** Answers nothing until it is told to. */
function heldAnswerer() {
  const held: (() => void)[] = [];
  const answerer: NotifyAnswerer = {
    answer: (_notify, done) => void held.push(() => done(answer())),
  };
  return { answerer, held };
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
}

describe('what leaves in one write', () => {
  it('is AGENT-HELLO', async () => {
    const { port } = await start();
    const client = await open(port);
    const chunks = chunksOf(client);
    await client.hello();
    expect(chunks).toHaveLength(1);
  });

  it('are the ACKs of the NOTIFYs that came in one read', async () => {
    const { port } = await start();
    const client = await opened(port);
    const chunks = chunksOf(client);
    const frames = Array.from({ length: 10 }, (_, index) => encodeNotify(index, 1, []));
    client.write(Buffer.concat(frames));
    await client.ackOf(9, 1);
    expect(chunks).toHaveLength(1);
    expect(decodeAgentFrames(chunks[0] ?? Buffer.alloc(0))).toHaveLength(10);
  });

  it('are ACKs that become ready together', async () => {
    const { answerer, held } = heldAnswerer();
    const { port } = await start({}, answerer);
    const client = await opened(port);
    const chunks = chunksOf(client);
    client.write(Buffer.concat([encodeNotify(1, 1, []), encodeNotify(2, 1, [])]));
    await until(() => held.length === 2);
    for (const release of held) release();
    await Promise.all([client.ackOf(1, 1), client.ackOf(2, 1)]);
    expect(chunks).toHaveLength(1);
  });
});

describe('a health check', () => {
  it('gets its HELLO and the end of the connection', async () => {
    const { port } = await start();
    const client = await open(port);
    await client.hello(HEALTHCHECK_HELLO);
    await client.closed;
    expect(client.frames).toHaveLength(1);
  });

  it('is refused while draining, and NOTIFYs are served on', async () => {
    const { server, port } = await start();
    const traffic = await opened(port);
    // It goes on for longer than the test, however slow the machine.
    void server.drain(600_000, 600_000);
    const check = await open(port);
    await expect(check.hello(HEALTHCHECK_HELLO)).rejects.toThrow('HELLO was refused');
    expect(variablesOf((await traffic.notify([])).actions)).toEqual({ answer: 'yes' });
    const late = await opened(port);
    expect(variablesOf((await late.notify([])).actions)).toEqual({ answer: 'yes' });
  });

  it('is refused too on a connection that stood open before', async () => {
    const { server, port } = await start();
    const check = await open(port);
    await until(() => server.connections === 1);
    void server.drain(600_000, 600_000);
    await expect(check.hello(HEALTHCHECK_HELLO)).rejects.toThrow('HELLO was refused');
  });
});

describe('draining', () => {
  it('says goodbye with status 0 to idle connections after the grace', async () => {
    const { server, port } = await start();
    const client = await opened(port);
    const drained = server.drain(50, 5000);
    expect(await client.goodbye()).toMatchObject({ status: StatusCode.NORMAL });
    await client.closed;
    await drained;
    expect(server.connections).toBe(0);
  });

  it('waits for the ACK of a NOTIFY in flight', async () => {
    const { answerer, held } = heldAnswerer();
    const { server, port } = await start({}, answerer);
    const client = await opened(port);
    const acknowledged = client.notify([]);
    await until(() => held.length === 1);
    const drained = server.drain(0, 5000);
    const other = client.goodbye();
    setTimeout(() => held[0]?.(), 200);
    expect(variablesOf((await acknowledged).actions)).toEqual({ answer: 'yes' });
    await other;
    expect(client.frames.map(({ kind }) => kind)).toEqual(['agent-hello', 'ack', 'agent-disconnect']);
    await drained;
  });

  it('leaves a connection that is never quiet at last, together with an answer', async () => {
    const { server, port } = await start();
    const client = await opened(port);
    const drained = server.drain(0, 1500);
    const left = client.goodbye();
    let sent = 0;
    // A stalled machine can make the connection quiet after all: then the goodbye crosses our message.
    let crossed = 0;
    while (client.frames.at(-1)?.kind !== 'agent-disconnect') {
      const answer = await client.notify([]).catch(() => undefined);
      if (answer === undefined) crossed += 1;
      else {
        sent += 1;
        expect(variablesOf(answer.actions)).toEqual({ answer: 'yes' });
      }
    }
    expect(await left).toEqual({ status: StatusCode.NORMAL, message: 'shutting down' });
    expect(client.frames.filter(({ kind }) => kind === 'ack')).toHaveLength(sent);
    expect(crossed).toBeLessThanOrEqual(1);
    await drained;
  });

  it('leaves connections that are never quiet one after the other', async () => {
    const { server, port } = await start();
    const clients = await Promise.all(Array.from({ length: 4 }, () => opened(port)));
    await Promise.all(clients.map((client) => client.notify([])));
    const drained = server.drain(0, 2500);
    const leftAtMs = await Promise.all(
      clients.map(async (client) => {
        while (client.frames.at(-1)?.kind !== 'agent-disconnect') {
          await client.notify([]).catch(() => undefined);
        }
        return performance.now();
      }),
    );
    // Fifty milliseconds from one to the next; all at once before.
    expect(Math.max(...leftAtMs) - Math.min(...leftAtMs)).toBeGreaterThan(100);
    await drained;
  });

  /** One farewell to a client that sends on, and whether the process stood still for a good part of the 10 ms of it. */
  async function farewell() {
    const { server, port } = await start();
    const client = await opened(port);
    await client.notify([]);
    const drained = server.drain(0, 1500);
    const left = client.goodbye();
    // Asked to leave by now, and not yet quiet for long enough to leave without an answer.
    await new Promise((resolve) => setTimeout(resolve, 20));
    let unanswered = 0;
    let sent = 0;
    const stalls = monitorEventLoopDelay({ resolution: 1 });
    stalls.enable();
    // Two at a time, the second a little after the first: without holding, the goodbye would overtake the second.
    while (client.frames.at(-1)?.kind !== 'agent-disconnect') {
      stalls.reset();
      const first = client.notify([]).catch(() => undefined);
      await new Promise((resolve) => setTimeout(resolve, 5));
      const second = client.notify([]).catch(() => undefined);
      const answers = await Promise.all([first, second]);
      sent += 2;
      unanswered += answers.filter((given) => given === undefined).length;
    }
    stalls.disable();
    await left;
    await drained;
    return { sent, unanswered, stoodStill: stalls.max > 4e6 };
  }

  it('holds the last answers until nothing more is on its way, so that a message that crosses them is answered', {
    timeout: 60_000,
  }, async ({ skip }) => {
    // A process that stands still for longer than the answers are held has the goodbye overtake what waits to be read.
    for (let attempt = 0; attempt < 40; attempt += 1) {
      const { sent, unanswered, stoodStill } = await farewell();
      if (unanswered > 0 && stoodStill) continue;
      expect(sent).toBeGreaterThanOrEqual(2);
      expect(unanswered).toBe(0);
      return;
    }
    skip('this process stood still, time and again');
  });

  it('ends at its deadline, whatever is in flight', async () => {
    const { answerer, held } = heldAnswerer();
    const { server, port } = await start({}, answerer);
    const client = await opened(port);
    client.notify([]).catch(() => undefined);
    await until(() => held.length === 1);
    await server.drain(0, 200);
    await client.closed;
    // The answer that comes now has nobody to go to, and is no error.
    held[0]?.();
  });

  it('skips the grace when nobody ever connected', async () => {
    const { server } = await start();
    // Whatever waited would wait for longer than a test may take.
    await server.drain(600_000, 600_000);
  });
});

describe('a connection is closed', () => {
  it('with DISCONNECT 2 when no HELLO comes in time', async () => {
    const { port, observer } = await start({ helloTimeoutMs: 50 });
    const client = await open(port);
    expect(await client.goodbye()).toEqual({ status: 2, message: 'no HAPROXY-HELLO within 50 ms' });
    await client.closed;
    expect(observer.told).toContain('timed out: hello');
  });

  it('with DISCONNECT 0 when it has been idle too long', async () => {
    const { port, observer } = await start({ idleTimeoutMs: 50 });
    const client = await opened(port);
    expect(await client.goodbye()).toEqual({ status: 0, message: 'idle for 50 ms' });
    await client.closed;
    expect(observer.told).toContain('timed out: idle');
  });

  it('never as idle while a NOTIFY is under analysis', async () => {
    const { answerer, held } = heldAnswerer();
    const { port, observer } = await start({ idleTimeoutMs: 50 }, answerer);
    const client = await open(port);
    // In one write: a stall between the two would be idleness.
    const hello = client.next(({ kind }) => kind === 'agent-hello');
    client.write(Buffer.concat([encodeHaproxyHello(TYPICAL_HELLO), encodeNotify(1, 1, [])]));
    await hello;
    await until(() => held.length === 1);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(observer.told).not.toContain('timed out: idle');
    held[0]?.();
    await client.ackOf(1, 1);
  });

  it('at once when there are too many, and the others go on', async () => {
    const { port, observer, server } = await start({ maxConnections: 2 });
    const first = await opened(port);
    const second = await opened(port);
    const third = await open(port);
    await third.closed;
    expect(observer.told.filter((line) => line === 'refused')).toHaveLength(1);
    await Promise.all([first.notify([]), second.notify([])]);
    first.end();
    await until(() => server.connections === 1);
    const fourth = await opened(port);
    await fourth.notify([]);
  });

  it('by a reset of the peer, which is no error of the protocol', async () => {
    const { port, observer, server } = await start();
    const client = await opened(port);
    await client.notify([]);
    client.reset();
    await until(() => server.connections === 0);
    expect(observer.told.filter((line) => /protocol|failed/.test(line))).toEqual([]);
  });

  it('by a goodbye of HAProxy, which is answered', async () => {
    const { port, observer } = await start();
    const client = await opened(port);
    expect(await client.disconnect(0, 'bye')).toMatchObject({ status: 0 });
    await client.closed;
    expect(observer.told).toContain('disconnected 0');
  });

  it('inside a frame, which is told apart from a goodbye', async () => {
    const { port, observer } = await start();
    const client = await opened(port);
    client.write(encodeNotify(1, 1, []).subarray(0, 6));
    client.end();
    await client.closed;
    await observer.until('truncated');
  });
});

describe('one bad connection', () => {
  it('never touches another', async () => {
    const { port, observer } = await start();
    const good = await opened(port);
    const garbage = [
      Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n'),
      Buffer.alloc(5),
      Buffer.from([0xff, 0xff, 0xff, 0xff, 1]),
      Buffer.from([0, 0, 0, 3, 1, 0, 0]),
      encodeNotify(1, 1, []),
      Buffer.concat([encodeHaproxyHello(TYPICAL_HELLO), encodeHaproxyHello(TYPICAL_HELLO)]),
    ];
    for (const bytes of garbage) {
      const bad = await open(port);
      bad.write(bytes);
      const { status } = await bad.goodbye();
      expect(status).toBeGreaterThan(0);
      await bad.closed;
      expect((await good.notify([])).actions).toHaveLength(1);
    }
    expect(observer.told.filter((line) => line.startsWith('protocol'))).toHaveLength(garbage.length);
    expect(observer.told).not.toContain('frame failed');
  });

  it('is told once, whatever else came in the same read', async () => {
    const answerer: NotifyAnswerer = {
      answer() {
        throw new SpopError('SPOP_OUT_OF_BYTES', 'no list of messages');
      },
    };
    const { port, observer } = await start({}, answerer);
    const client = await opened(port);
    client.write(Buffer.concat([encodeNotify(1, 1, []), encodeNotify(2, 1, [])]));
    expect((await client.goodbye()).status).toBe(StatusCode.INVALID);
    await client.closed;
    expect(observer.told.filter((line) => /protocol|failed/.test(line))).toEqual([
      'protocol SPOP_OUT_OF_BYTES',
    ]);
  });
});

describe('a mistake of ours inside a frame', () => {
  const mistakes: [string, Answering][] = [
    [
      'thrown',
      () => {
        throw new Error('ours');
      },
    ],
    ['of no actions', () => []],
    ['of no actions, later', () => Promise.resolve([])],
    ['of an answer too large', () => [text('answer', 'x'.repeat(20_000))]],
  ];

  it.each(mistakes)(
    '(%s) is acknowledged without analysis, and the connection goes on',
    async (_what, mistake) => {
      let asked = 0;
      const answerer = answering((notify) => {
        asked += 1;
        return asked === 1 ? mistake(notify) : answer();
      });
      const { port, observer } = await start({}, answerer);
      const client = await opened(port);
      const first = await client.notify([]);
      expect(variablesOf(first.actions)).toEqual({
        request_body: false,
        response_body: false,
        span_id: 'error',
        verdict: 'error',
      });
      expect(variablesOf((await client.notify([])).actions)).toEqual({ answer: 'yes' });
      expect(observer.causes).toHaveLength(1);
    },
  );
});

describe('a peer that sends without end', () => {
  it('is not read beyond the limit on frames in flight', async () => {
    const { answerer, held } = heldAnswerer();
    const { port } = await start({ maxFramesInFlight: 4 }, answerer);
    const client = await opened(port);
    // Each in its own segment: a read is worked off whole, whatever the limit.
    for (let id = 1; id <= 4; id += 1) {
      client.write(encodeNotify(id, 1, []));
      await until(() => held.length === id);
    }
    client.write(encodeNotify(5, 1, []));
    const other = await opened(port);
    const otherAck = other.notify([]);
    await until(() => held.length === 5);
    // Whoever came fifth is the other connection: the first one is not read from.
    held[4]?.();
    await otherAck;
    expect(held).toHaveLength(5);
    held[0]?.();
    await client.ackOf(1, 1);
    await until(() => held.length === 6);
    for (const release of held) release();
    await client.ackOf(5, 1);
  });

  it('and does not read our answers costs bounded memory, and the others are served', async () => {
    let answered = 0;
    const answerer = answering(() => {
      answered += 1;
      return [text('answer', 'x'.repeat(15_000))];
    });
    const { port, observer } = await start({ idleTimeoutMs: 500 }, answerer);
    const deaf = await rawConnection(port);
    deaf.write(encodeHaproxyHello(TYPICAL_HELLO));
    const frames = 20_000;
    deaf.write(Buffer.concat(Array.from({ length: frames }, (_, index) => encodeNotify(index, 1, []))));
    // Whoever does not read is idle in the end.
    await observer.until('timed out: idle');
    // All answers together are 300 MB; made were those that the kernel took and one write more.
    expect(answered).toBeLessThan(2000);
    const good = await open(port);
    good.write(Buffer.concat([encodeHaproxyHello(TYPICAL_HELLO), encodeNotify(1, 1, [])]));
    expect(variablesOf((await good.ackOf(1, 1)).actions)).toHaveProperty('answer');
  });

  it('gets every answer, in few writes, once it reads', async () => {
    const { port } = await start(
      {},
      answering(() => [text('answer', 'x'.repeat(1000))]),
    );
    const client = await opened(port);
    client.socket.pause();
    client.write(Buffer.concat(Array.from({ length: 3000 }, (_, index) => encodeNotify(index, 1, []))));
    setTimeout(() => client.socket.resume(), 100);
    await client.ackOf(2999, 1);
    expect(client.frames).toHaveLength(3001);
  });

  it('is analysed no more than the limit at a time when its frames come in one read', async () => {
    let analysing = 0;
    let most = 0;
    const answerer = answering(async () => {
      analysing += 1;
      most = Math.max(most, analysing);
      await new Promise((resolve) => setImmediate(resolve));
      analysing -= 1;
      return answer();
    });
    const { port } = await start({ maxFramesInFlight: 4 }, answerer);
    const client = await opened(port);
    client.write(Buffer.concat(Array.from({ length: 100 }, (_, index) => encodeNotify(index, 1, []))));
    await client.ackOf(99, 1);
    expect(most).toBe(4);
  });
});

function rawConnection(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.off('error', reject);
      socket.on('error', () => undefined);
      socket.pause();
      cleanUp.push(() => socket.destroy());
      resolve(socket);
    });
    socket.once('error', reject);
  });
}

describe('where it listens', () => {
  async function listening(address: Parameters<SpopServer['listen']>[0]) {
    const server = new SpopServer(defaults, answering(answer));
    cleanUp.push(() => server.close());
    return server.listen(address);
  }

  function socketPath(): string {
    const folder = mkdtempSync(join(tmpdir(), 'appsec-edge-'));
    cleanUp.push(() => rmSync(folder, { recursive: true }));
    return join(folder, 'spoa.sock');
  }

  it('may be IPv6', async () => {
    const where = await listening({ host: '::1', port: 0 });
    expect(where).toMatch(/^\[::1\]:\d+$/);
    const client = await SpopClient.connect({ host: '::1', port: Number(where.split(':').at(-1)) });
    await client.hello();
    client.reset();
  });

  it('may be a host name', async () => {
    expect(await listening({ host: 'localhost', port: 0 })).toMatch(/^(127\.0\.0\.1|\[::1\]):\d+$/);
  });

  it('may be a unix socket, which goes away with the server', async () => {
    const path = socketPath();
    const server = new SpopServer(defaults, answering(answer));
    expect(await server.listen({ socketPath: path })).toBe(path);
    const client = await SpopClient.connect({ path });
    await client.hello();
    await client.notify([]);
    server.close();
    await client.closed;
    await until(() => !existsSync(path));
  });

  it('may be a unix socket that a killed process left behind', async () => {
    const path = socketPath();
    await leaveSocketBehind(path);
    expect(existsSync(path)).toBe(true);
    expect(await listening({ socketPath: path })).toBe(path);
  });

  it('may not be a unix socket that somebody answers on', async () => {
    const path = socketPath();
    await listening({ socketPath: path });
    await expect(listening({ socketPath: path })).rejects.toMatchObject({ code: 'EADDRINUSE' });
    const client = await SpopClient.connect({ path });
    await client.hello();
    client.end();
  });

  it('may not be a port in use', async () => {
    const { port } = await start();
    await expect(listening({ host: '127.0.0.1', port })).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });

  it('may not be a name that does not exist', async () => {
    await expect(listening({ host: 'no-such-host.invalid', port: 0 })).rejects.toMatchObject({
      syscall: 'getaddrinfo',
    });
  });
});

/** Node removes the file when it closes, a killed process does not: bind elsewhere, then move the file. */
async function leaveSocketBehind(path: string): Promise<void> {
  const { renameSync } = await import('node:fs');
  const server: Server = createServer();
  await new Promise<void>((resolve) => server.listen(`${path}.moved`, resolve));
  renameSync(`${path}.moved`, path);
  await new Promise((resolve) => server.close(resolve));
}

describe('a HELLO and a goodbye in one read', () => {
  it('are answered in order', async () => {
    const { port } = await start();
    const client = await open(port);
    client.write(Buffer.concat([encodeHaproxyHello(TYPICAL_HELLO), encodeHaproxyDisconnect(0, 'bye')]));
    await client.closed;
    expect(client.frames.map(({ kind }) => kind)).toEqual(['agent-hello', 'agent-disconnect']);
  });
});
