// Requests that share a connection: each gets its own verdict, and none pays for another.
import { expect, it } from 'vitest';
import type { Daemon } from './support/daemon.ts';
import {
  Http1Connection,
  Http2Connection,
  type HttpResponse,
  type RequestParts,
} from './support/http-client.ts';
import { shareProtectedProxy } from './support/protected-proxy.ts';
import { describeEachHaproxy } from './support/stubbed-proxy.ts';

const json = { 'content-type': 'application/json' };

async function bodyMessages(daemon: Daemon): Promise<{ request: number; response: number }> {
  return {
    request: await daemon.metric('messages_total', { message: 'http-request-body-msg' }),
    response: await daemon.metric('messages_total', { message: 'http-response-body-msg' }),
  };
}

/** One kind of request, and what its client must see. */
interface Kind {
  readonly request: (mark: string) => RequestParts;
  readonly status: number;
  /** Of the security event; undefined when there must be none. */
  readonly rule?: string;
}

const kinds: readonly Kind[] = [
  { request: (mark) => ({ target: `/echo?${mark}` }), status: 200 },
  { request: (mark) => ({ target: `/?q=attack-block&${mark}` }), status: 403, rule: 'req-block' },
  {
    request: (mark) => ({ method: 'POST', target: `/echo?${mark}`, headers: json, body: `{"a":"${mark}"}` }),
    status: 200,
  },
  {
    request: (mark) => ({
      ...{ method: 'POST', target: `/echo?${mark}`, headers: json, body: '{"a":"attack-block"}' },
    }),
    ...{ status: 403, rule: 'req-block' },
  },
  { request: (mark) => ({ target: `/say?leak=nothing&${mark}` }), status: 200 },
  { request: (mark) => ({ target: `/say?leak=leak-block&${mark}` }), status: 403, rule: 'res-body-block' },
  {
    request: (mark) => ({ target: `/say?header=leak-block&${mark}` }),
    status: 403,
    rule: 'res-header-block',
  },
  // Only an agent that knows which response belongs to which request can tell these two apart.
  { request: (mark) => ({ target: `/?exposed=yes&${mark}` }), status: 403, rule: 'both-block' },
  { request: (mark) => ({ target: `/status/404?exposed=yes&${mark}` }), status: 404 },
  { request: (mark) => ({ target: `/?q=attack-report&${mark}` }), status: 200, rule: 'req-report' },
  { request: (mark) => ({ target: `/?q=attack-redirect&${mark}` }), status: 307, rule: 'req-redirect' },
];

interface Sent {
  readonly mark: string;
  readonly kind: Kind;
}

function mixture(count: number, prefix: string): Sent[] {
  return Array.from({ length: count }, (_, index) => {
    const kind = kinds[index % kinds.length];
    if (kind === undefined) throw new Error('no kinds');
    return { mark: `mark=${prefix}-${index}-`, kind };
  });
}

async function expectOwnVerdicts(
  daemon: Daemon,
  sent: readonly Sent[],
  responses: readonly HttpResponse[],
): Promise<void> {
  const found = sent.filter(({ kind }) => kind.rule !== undefined);
  await Promise.all(found.map(({ mark }) => daemon.securityEvent(mark)));
  for (const [index, { mark, kind }] of sent.entries()) {
    expect(responses[index]?.status, mark).toBe(kind.status);
    const rules = daemon.securityEvents(mark).map((event) => event.rules.map(({ id }) => id).join());
    expect(rules, mark).toEqual(kind.rule === undefined ? [] : [kind.rule]);
  }
}

describeEachHaproxy('requests that share a connection', (binary) => {
  const proxy = shareProtectedProxy(binary);

  it('get their own verdict one after the other over HTTP/1.1', async () => {
    const sent = mixture(3 * kinds.length, 'h1');
    const connection = new Http1Connection(proxy().httpPort);
    const responses: HttpResponse[] = [];
    for (const { mark, kind } of sent) responses.push(await connection.request(kind.request(mark)));
    connection.close();
    await expectOwnVerdicts(proxy().daemon, sent, responses);
  });

  it('get their own verdict as 100 concurrent streams of HTTP/2', async () => {
    const sent = mixture(100, 'h2');
    const connection = new Http2Connection(proxy().http2Port);
    const responses = await Promise.all(sent.map(({ mark, kind }) => connection.request(kind.request(mark))));
    connection.close();
    await expectOwnVerdicts(proxy().daemon, sent, responses);
    const identities = sent.flatMap(({ mark }) => proxy().daemon.securityEvents(mark));
    expect(new Set(identities.map(({ span_id }) => span_id)).size).toBe(identities.length);
  });

  it('pay for no body but their own: a JSON POST, then two GETs', async () => {
    const { daemon, httpPort } = proxy();
    const before = await bodyMessages(daemon);
    const connection = new Http1Connection(httpPort);
    await connection.request({ method: 'POST', target: '/json', headers: json, body: '{}' });
    await connection.request();
    await connection.request();
    connection.close();
    const after = await bodyMessages(daemon);
    expect(after.request - before.request).toBe(1);
    expect(after.response - before.response).toBe(1);
  });

  it('leave no transaction behind', async () => {
    await expect.poll(() => proxy().daemon.metric('transactions_live')).toBe(0);
    expect(await proxy().daemon.metric('errors_total')).toBe(0);
    expect(proxy().haproxy.log.lines.filter((line) => line.includes('SPOE'))).toEqual([]);
  });
});
