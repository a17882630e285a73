// The shipped HAProxy files in operation: the agent away and back, fail-closed, the log, several agents.
import { expect, it, onTestFinished } from 'vitest';
import { freePort } from './support/free-port.ts';
import { fetchOnce, Http1Connection } from './support/http-client.ts';
import { uncomment } from './support/shipped-config.ts';
import { type StubAnswer, startStubAgent } from './support/stub-agent.ts';
import { describeEachHaproxy, startStubbedProxy } from './support/stubbed-proxy.ts';

describeEachHaproxy('when the agent cannot be asked', (binary) => {
  it('every page is served, and protection is back with the agent', async () => {
    const proxy = await startStubbedProxy(binary);
    const { port } = proxy.agent;
    await proxy.agent.stop();
    for (let request = 0; request < 10; request++) expect((await fetchOnce(proxy.httpPort)).status).toBe(200);

    const next = await startStubAgent(() => ({ blocked: true }), port);
    await expect.poll(async () => (await fetchOnce(proxy.httpPort)).status).toBe(403);
    await next.stop();
    await proxy.stop();
  });

  it('the fail-closed line answers 503 instead', async () => {
    const edit = uncomment('frontend-config.cfg', 'http-request deny deny_status 503');
    const env = { DD_SPOA_PROCESSING_TIMEOUT: '3s' };
    const proxy = await startStubbedProxy(binary, { edit, env });
    expect((await fetchOnce(proxy.httpPort)).status).toBe(200);
    proxy.agent.script = () => 'silence';
    expect((await fetchOnce(proxy.httpPort)).status).toBe(503);
    expect(proxy.origin.requests).toHaveLength(1);
    await proxy.stop();
  });
});

describeEachHaproxy('the ready-made log line', (binary) => {
  it('shows verdict, rules, trace id and the error', async () => {
    const edit = uncomment('frontend-config.cfg', 'log-format');
    const proxy = await startStubbedProxy(binary, { edit, env: { DD_SPOA_PROCESSING_TIMEOUT: '2s' } });
    onTestFinished(() => proxy.stop());
    proxy.agent.script = () => ({ verdict: 'report', rule_ids: 'crs-1,crs-2', trace_id: 'abc123' });
    await fetchOnce(proxy.httpPort, { target: '/seen' });
    const seen = await proxy.haproxy.log.waitFor(/GET \/seen/);
    expect(seen).toMatch(/dd_verdict=report dd_rules=crs-1,crs-2 dd_trace=abc123 dd_error=- dd_ms=\d+$/);

    proxy.agent.script = () => 'silence';
    await fetchOnce(proxy.httpPort, { target: '/unseen' });
    const unseen = await proxy.haproxy.log.waitFor(/GET \/unseen/);
    // Two messages of 2 s; HAProxy 2.6 does not ask again after the first.
    const leastMs = Number(binary.branch) < 3 ? 2_000 : 4_000;
    const ms = /dd_verdict=- dd_rules=- dd_trace=- dd_error=1 dd_ms=(\d+)$/.exec(unseen)?.[1];
    expect(Number(ms)).toBeGreaterThanOrEqual(leastMs - 10);
    // A third would be one more than there are.
    expect(Number(ms)).toBeLessThan(leastMs + 2_000);
  });
});

describeEachHaproxy('several agents behind one HAProxy', (binary) => {
  it('each transaction stays with one of them, from HAProxy 3.1 on', async (context) => {
    if (Number(binary.branch) < 3.1)
      context.skip(`HAProxy ${binary.branch} cannot do it; backend.cfg says so`);
    const known: Set<string>[] = [new Set(), new Set()];
    let astray = 0;
    const script =
      (mine: number) =>
      (message: { name: string; args: ReadonlyMap<string, unknown> }): StubAnswer => {
        const id = String(message.args.get('path') ?? message.args.get('span_id'));
        if (message.name === 'http-request-headers-msg') known[mine]?.add(id);
        else if (!known[mine]?.has(id)) astray++;
        return { span_id: id, request_body: true, response_body: true };
      };
    const second = await startStubAgent(script(1), await freePort());
    const proxy = await startStubbedProxy(binary, {
      agentBackend: `    server two 127.0.0.1:${second.port}`,
    });
    proxy.agent.script = script(0);
    const work = Array.from({ length: 50 }, async (_, client) => {
      const connection = new Http1Connection(proxy.httpPort);
      for (let request = 0; request < 10; request++) {
        const target = `/echo?${client}-${request}`;
        await connection.request({ method: 'POST', target, body: '{}' });
      }
      connection.close();
    });
    await Promise.all(work);
    expect(known.map(({ size }) => size).every((size) => size > 100)).toBe(true);
    expect(astray).toBe(0);
    await proxy.stop();
    await second.stop();
  });
});
