// Copies through a real engine: what is found in them, and what is said of them.
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { Applications } from '../../../src/adapters/mirror/applications.ts';
import { type CopyOrigin, CopyWriter } from '../../../src/adapters/mirror/copy.ts';
import { CopyJobs, type MirrorRules } from '../../../src/adapters/mirror/handler.ts';
import type { EngineOptions } from '../../../src/engine/engine.ts';
import { parseAllowList } from '../../../src/net/allow-list.ts';
import { testDoor, testEngine } from '../../support/test-engine.ts';

const mirrorDoor = { ...testDoor, name: 'mirror', reportOnly: true, seesResponses: false };
const origin: CopyOrigin = { peerAddress: '10.0.0.1', peerPort: 1234, listener: 0, tls: false };

interface Sent {
  readonly head: string;
  readonly body?: string | Buffer;
  readonly bodySize?: number;
  readonly whole?: boolean;
  readonly trailers?: string;
}

function setUp(rules: Partial<MirrorRules> = {}, engineOptions: Partial<EngineOptions> = {}) {
  const { engine, recorder } = testEngine(engineOptions, mirrorDoor);
  const failures: unknown[] = [];
  const jobs = new CopyJobs(
    engine.inspector,
    {
      sender: 'auto',
      trusted: undefined,
      applications: new Applications({ field: undefined, hosts: [], listeners: [] }),
      clientIpHeaderIsSet: false,
      timeToLiveMs: 60_000,
      ...rules,
    },
    { message: () => undefined, failed: (cause) => failures.push(cause) },
  );
  const send = async ({ head, body = '', bodySize, whole = true, trailers = '' }: Sent) => {
    const writer = new CopyWriter(
      origin,
      { head: Buffer.from(head, 'latin1'), wire: 'http1', bodyBytes: bodySize },
      true,
    );
    writer.addBody(Buffer.from(body as string));
    const seen = bodySize ?? Buffer.byteLength(body);
    const payload = writer.finish(seen, whole, Buffer.from(trailers));
    await new Promise<void>((resolve) =>
      jobs.handle({ payload, maxAnswerBytes: 0, deadlineMs: 0 }, () => resolve()),
    );
    const ended = recorder.endings.at(-1);
    return { transaction: ended?.transaction, reason: ended?.reason };
  };
  return { engine, recorder, failures, send };
}

describe('a copy', () => {
  it('without a body is analysed and over', async () => {
    const { send, recorder, engine } = setUp();
    const { transaction, reason } = await send({ head: 'GET /?q=attack-block HTTP/1.1\r\nHost: a\r\n\r\n' });
    expect(reason).toBe('complete');
    expect(transaction).toMatchObject({ verdict: { kind: 'report' }, wouldBlock: true, partial: false });
    expect([recorder.runs.length, engine.liveTransactions]).toEqual([1, 0]);
  });

  it('is analysed with its body', async () => {
    const { send, recorder } = setUp();
    const head = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n';
    const { transaction, reason } = await send({ head, body: '{"q":"attack-block"}' });
    expect([reason, transaction?.verdict.kind, transaction?.partial]).toEqual(['complete', 'report', false]);
    expect(recorder.runs.map(({ phase }) => phase)).toEqual(['request-headers', 'request-body']);
  });

  it('is done when its compressed body is', async () => {
    const { send } = setUp();
    const head = 'POST / HTTP/1.1\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n\r\n';
    const { transaction, reason } = await send({ head, body: gzipSync('{"q":"attack-block"}') });
    expect([reason, transaction?.verdict.kind]).toEqual(['complete', 'report']);
  });

  it('whose body never came is analysed in part', async () => {
    const { send } = setUp();
    const head = 'POST /?q=attack-block HTTP/1.1\r\nContent-Length: 3000\r\n\r\n';
    const { transaction, reason } = await send({ head, bodySize: 3000, whole: false });
    expect([reason, transaction?.verdict.kind, transaction?.partial]).toEqual(['complete', 'report', true]);
  });

  it('of which a part was kept is analysed in part', async () => {
    const { send } = setUp();
    const head = 'POST / HTTP/1.1\r\nContent-Length: 3000\r\n\r\n';
    const sent = { head, body: 'q=attack-block', bodySize: 3000, whole: false };
    expect((await send(sent)).transaction).toMatchObject({ verdict: { kind: 'report' }, partial: true });
  });

  it('is analysed with the fields behind its body', async () => {
    const { send } = setUp();
    const head = 'POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n';
    const trailers = 'X-Forwarded-For: 203.0.113.9\r\nX-Sum: attack-block\r\n';
    const { transaction } = await send({ head, body: 'a=b', trailers });
    expect(transaction?.verdict.kind).toBe('report');
    expect(transaction?.clientIp).toBe('10.0.0.1');
  });

  it.each(['/\xc3\xa9?q=attack-block', '//a/../b?q=attack-block', '/%zz?q=attack-block', '*attack-block'])(
    'is analysed by its target as it came: %j',
    async (target) => {
      const { send } = setUp();
      const { transaction } = await send({ head: `FOO ${target} HTTP/1.1\r\n\r\n` });
      expect(transaction?.verdict.kind).toBe('report');
    },
  );

  it('has names in lower case, and text in UTF-8 where it is', async () => {
    const { send } = setUp();
    const { transaction } = await send({
      head: 'GET /\xc3\xa9 HTTP/1.1\r\nX-A: \xc3\xa9\r\nX-B: \xe9\xff\r\n\r\n',
    });
    expect(transaction?.request?.target).toBe('/\u00e9');
    expect(transaction?.request?.headers).toEqual([
      ['x-a', '\u00e9'],
      ['x-b', '\u00e9\u00ff'],
    ]);
  });

  it('that a mistake of ours keeps from being analysed is answered all the same', async () => {
    const { engine, failures, send } = setUp();
    engine.inspector.requestBody = () => {
      throw new Error('a mistake');
    };
    const { reason } = await send({ head: 'POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\n', body: 'a=b' });
    expect([reason, failures.length, engine.liveTransactions]).toEqual(['complete', 1, 0]);
  });
});

describe('who sent it', () => {
  const ofEnvoy =
    'GET / HTTP/1.1\r\nhost: a.test-shadow\r\nx-envoy-internal: true\r\nx-forwarded-for: 203.0.113.9,192.0.2.2\r\nx-envoy-external-address: 203.0.113.9\r\nx-forwarded-proto: https\r\n\r\n';

  it('is seen through: Envoy', async () => {
    const { transaction } = await setUp().send({ head: ofEnvoy });
    expect(transaction).toMatchObject({ clientIp: '203.0.113.9', request: { https: true } });
    expect(transaction?.request?.headers[0]).toEqual(['host', 'a.test']);
    expect(transaction?.request).toMatchObject({ peerAddress: '10.0.0.1', peerPort: 1234 });
  });

  it('is not believed when it is not trusted', async () => {
    const { send } = setUp({ trusted: parseAllowList(['192.0.2.0/24']) });
    const { transaction } = await send({ head: ofEnvoy });
    expect(transaction).toMatchObject({ clientIp: '10.0.0.1', request: { https: false } });
    expect(transaction?.request?.headers[0]).toEqual(['host', 'a.test-shadow']);
  });

  it('leaves the client to the header that the operator names', async () => {
    const header = { clientIpHeader: 'x-real-ip' };
    const { send } = setUp({ clientIpHeaderIsSet: true, sender: 'traefik' }, header);
    const fields = 'X-Real-Ip: 203.0.113.7\r\n';
    const { transaction } = await send({ head: `GET / HTTP/1.1\r\n${fields}\r\n` });
    expect(transaction?.clientIp).toBe('203.0.113.7');
  });

  it('and where it arrived say whose it is', async () => {
    const { send } = setUp({
      applications: new Applications({ field: undefined, hosts: [], listeners: ['shop'] }),
    });
    const { transaction } = await send({ head: 'GET / HTTP/1.1\r\n\r\n' });
    expect(transaction?.application?.service).toBe('shop');
  });
});
