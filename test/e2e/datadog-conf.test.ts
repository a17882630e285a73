// Datadog's published configuration (our own equivalent, see test/fixtures/datadog-conf) with our agent instead of
// theirs, HAProxy untouched. What that configuration cannot do stays undone, and says so here:
//
// - It never blocks a response: its script answers requests only, and it asks `txn.dd.blocked` before the origin has
//   been asked. The attack is reported as blocked all the same (peers.md 0.1).
// - It keeps the identity and the wish for a body in `sess.`: streams of one HTTP/2 connection take each other's
//   (0.2). An agent cannot help that; every request is still inspected by itself.
// - Its `wait-for-body time 1s` answers 408 and 504 to slow bodies (0.5, 0.6).
import { expect, it } from 'vitest';
import type { Daemon } from './support/daemon.ts';
import { fetchOnce, Http1Connection, Http2Connection, header } from './support/http-client.ts';
import { patientDatadogSet } from './support/patience.ts';
import { shareProtectedProxy } from './support/protected-proxy.ts';
import { describeEachHaproxy } from './support/stubbed-proxy.ts';

const json = { 'content-type': 'application/json' };
const post = (
  target: string,
  body: string,
): { method: string; target: string; headers: Record<string, string>; body: string } => ({
  ...{ method: 'POST', target, headers: json, body },
});

async function messages(daemon: Daemon): Promise<Record<string, number>> {
  const count = (message: string): Promise<number> => daemon.metric('messages_total', { message });
  return {
    requestHeaders: await count('http-request-headers-msg'),
    requestBody: await count('http-request-body-msg'),
    responseHeaders: await count('http-response-headers-msg'),
    responseBody: await count('http-response-body-msg'),
  };
}

describeEachHaproxy("Datadog's configuration with our agent", (binary) => {
  if (Number(binary.branch) < 3.1) {
    it('is not tested here', (context) =>
      context.skip('its backend says `mode spop`: HAProxy 3.1 and later'));
    return;
  }
  const proxy = shareProtectedProxy(binary, { set: patientDatadogSet() });

  it('a clean request passes', async () => {
    expect((await fetchOnce(proxy().httpPort)).status).toBe(200);
    expect((await fetchOnce(proxy().httpPort, post('/echo', '{"a":1}'))).body).toBe('{"a":1}');
  });

  it.each([
    ['request headers', { target: '/?q=attack-report&mark=headers' }, 'req-report', 'request-headers'],
    ['a JSON body', post('/echo?mark=body', '{"a":"attack-report"}'), 'req-report', 'request-body'],
    [
      'response headers',
      { target: '/say?header=leak-report&mark=res-head' },
      ...['res-header-report', 'response-headers'],
    ],
    [
      'a response body',
      { target: '/say?leak=leak-report&mark=res-body' },
      'res-body-report',
      'response-body',
    ],
  ] as const)('an attack in %s is reported', async (_where, request, rule, phase) => {
    expect((await fetchOnce(proxy().httpPort, request)).status).toBe(200);
    const mark = request.target.slice(request.target.indexOf('mark='));
    const event = await proxy().daemon.securityEvent(mark);
    expect(event).toMatchObject({ phase, verdict: 'report', rules: [{ id: rule }] });
  });

  it.each([
    ['request headers', { target: '/?q=attack-block&mark=blocked-headers' }],
    ['a JSON body', post('/echo?mark=blocked-body', '{"a":{"b":"attack-block"}}')],
  ])('an attack in %s is blocked', async (_where, request) => {
    const response = await fetchOnce(proxy().httpPort, request);
    const mark = request.target.slice(request.target.indexOf('mark='));
    const event = await proxy().daemon.securityEvent(mark);
    expect(response.status).toBe(403);
    expect(header(response, 'content-type')).toBe('application/json');
    expect(JSON.parse(response.body)).toMatchObject({ security_response_id: event.security_response_id });
    expect(proxy().reached(mark)).toBe(false);
  });

  it('a client is redirected', async () => {
    const response = await fetchOnce(proxy().httpPort, { target: '/?q=attack-redirect' });
    expect(response.status).toBe(307);
    expect(header(response, 'location')).toMatch(/^https:\/\/elsewhere\.example:8443\/why\?id=/);
  });

  it('a response is reported as blocked but delivered: the configuration cannot block it', async () => {
    const response = await fetchOnce(proxy().httpPort, { target: '/say?header=leak-block&mark=undone' });
    expect(response.status).toBe(200);
    expect(await proxy().daemon.securityEvent('mark=undone')).toMatchObject({ verdict: 'block' });
  });

  it('a JSON POST, then two GETs of one connection: no body message but the one of the POST', async () => {
    const before = await messages(proxy().daemon);
    const connection = new Http1Connection(proxy().httpPort);
    await connection.request(post('/echo', '{"a":1}'));
    await connection.request();
    await connection.request();
    connection.close();
    const after = await messages(proxy().daemon);
    expect(Number(after['requestBody']) - Number(before['requestBody'])).toBe(1);
    expect(Number(after['responseBody']) - Number(before['responseBody'])).toBe(0);
    expect(Number(after['responseHeaders']) - Number(before['responseHeaders'])).toBe(3);
  });

  it('streams of one HTTP/2 connection: every attack in a request is blocked, every clean one passes', async () => {
    const connection = new Http2Connection(proxy().http2Port);
    const statuses = await Promise.all(
      Array.from({ length: 40 }, async (_, index) => {
        const { status } = await connection.request({
          target: `/?q=${index % 2 === 0 ? 'attack-block' : 'fine'}`,
        });
        return status;
      }),
    );
    connection.close();
    expect(statuses).toEqual(statuses.map((_, index) => (index % 2 === 0 ? 403 : 200)));
  });

  it('no SPOE error, no error of the daemon', async () => {
    const lines = proxy().haproxy.log.lines.filter((line) => /SPOE: .* st=(?!0 )/.test(line));
    expect(lines).toEqual([]);
    expect(proxy().haproxy.log.lines.some((line) => /SPOE: .* st=0 /.test(line))).toBe(true);
    expect(await proxy().daemon.metric('errors_total')).toBe(0);
  });
});
