// What operators can use in HAProxy by themselves: the variables of the verdict, in the ready-made log line and in rules
// of their own; and the trace headers that the origin receives.
import { expect, it } from 'vitest';
import { fetchOnce, Http1Connection } from './support/http-client.ts';
import { shareProtectedProxy } from './support/protected-proxy.ts';
import { uncomment } from './support/shipped-config.ts';
import { describeEachHaproxy } from './support/stubbed-proxy.ts';

describeEachHaproxy('the ready-made log line with the daemon', (binary) => {
  const tarpit = '    http-request deny deny_status 429 if { var(txn.dd.rule_ids) -m sub req-report }';
  const proxy = shareProtectedProxy(binary, {
    edit: uncomment('frontend-config.cfg', 'log-format'),
    frontend: `${tarpit} { path /strict }`,
    daemon: { env: { DD_TRACE_ENABLED: 'true', DD_APM_TRACING_ENABLED: 'true', DD_TRACE_AGENT_PORT: '1' } },
    ownDaemon: true,
  });

  it.each([
    ['pass', '/?mark=pass', '-'],
    ['report', '/?q=attack-report&mark=report', 'req-report'],
    ['block', '/?q=attack-block&mark=block', 'req-block'],
    ['redirect', '/?q=attack-redirect&mark=redirect', 'req-redirect'],
    ['block', '/say?leak=leak-block&mark=response', 'res-body-block'],
    ['block', '/say?leak=leak-block&q=attack-report&mark=both', 'req-report,res-body-block'],
  ])('says %s for %s, with the rules and the trace of the log', async (verdict, target, rules) => {
    await fetchOnce(proxy().httpPort, { target });
    const mark = target.slice(target.indexOf('mark='));
    const line = await proxy().haproxy.log.waitFor(new RegExp(`${mark} HTTP/1.1`));
    const fields = /dd_verdict=(\S+) dd_rules=(\S+) dd_trace=(\S+) dd_error=(\S+) dd_ms=(\d+)$/.exec(line);
    expect(fields?.slice(1, 3)).toEqual([verdict, rules]);
    expect(fields?.[3]).toMatch(/^[0-9a-f]{32}$/);
    expect(fields?.[4]).toBe('-');
    if (verdict === 'pass') return;
    expect((await proxy().daemon.securityEvent(mark)).trace_id).toBe(fields?.[3]);
  });

  it("an operator's own rule acts on the ids of the rules", async () => {
    expect((await fetchOnce(proxy().httpPort, { target: '/strict?q=attack-report' })).status).toBe(429);
    expect((await fetchOnce(proxy().httpPort, { target: '/strict?q=harmless' })).status).toBe(200);
  });

  it('the origin receives the trace, not what the client made up, and no Datadog Agent is needed', async () => {
    const connection = new Http1Connection(proxy().httpPort);
    await connection.request({ target: '/headers?mark=trace&q=attack-report' });
    connection.close();
    const { trace_id: traceId } = await proxy().daemon.securityEvent('mark=trace');
    const received = proxy().origin.requests.find(({ target }) => target.includes('mark=trace'))?.headers;
    expect(BigInt(String(received?.['x-datadog-trace-id']))).toBe(BigInt(`0x${traceId.slice(16)}`));
    expect(received?.['x-datadog-parent-id']).toMatch(/^\d+$/);
    const complaints = proxy().daemon.log.lines.filter((line) =>
      line.includes('cannot reach the Datadog Agent'),
    );
    expect(complaints).toHaveLength(1);
  });
});

describeEachHaproxy('the recommended rules', (binary) => {
  const proxy = shareProtectedProxy(binary, { daemon: { env: { DD_APPSEC_RULES: '' } } });

  it.each([
    ['GET', '/?q=<script>alert(1)</script>', {}, undefined],
    ['GET', '/?id=1%27%20or%20%271%27=%271%27%20union%20select%20null,null--', {}, undefined],
    ['GET', '/', { 'user-agent': 'Arachni/v1' }, undefined],
    ['POST', '/echo', { 'content-type': 'application/json' }, '{"q":"<script>alert(1)</script>"}'],
  ])('report %s %s with %j', async (method, target, headers, body) => {
    const before = proxy().daemon.log.lines.filter((line) => line.includes('"event":"security"')).length;
    const parts = { method, target, headers, ...(body === undefined ? {} : { body }) };
    expect((await fetchOnce(proxy().httpPort, parts)).status).toBe(200);
    const events = (): number =>
      proxy().daemon.log.lines.filter((line) => line.includes('"event":"security"')).length;
    await expect.poll(events).toBeGreaterThan(before);
  });

  it('find nothing in ordinary requests', async () => {
    const detected = await proxy().daemon.metric('detections_total');
    const headers = { 'user-agent': 'Mozilla/5.0', accept: 'text/html', 'content-type': 'application/json' };
    for (const target of ['/', '/json', '/shop/items?page=2&sort=price', '/sub/page.html'])
      expect((await fetchOnce(proxy().httpPort, { target, headers })).status).toBe(200);
    const order = {
      method: 'POST',
      target: '/echo',
      headers,
      body: '{"order":[{"id":17,"note":"two, please"}]}',
    };
    expect((await fetchOnce(proxy().httpPort, order)).status).toBe(200);
    expect(await proxy().daemon.metric('detections_total')).toBe(detected);
  });
});
