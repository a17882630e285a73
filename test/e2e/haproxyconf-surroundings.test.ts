// The shipped files among what operators have around them: defaults that would harm the agent's backend, and filters
// above and below the agent's.
import { expect, it, onTestFinished } from 'vitest';
import { freePort } from './support/free-port.ts';
import { checkConfig, startHaproxy } from './support/haproxy.ts';
import { fetchOnce, header } from './support/http-client.ts';
import { startOrigin } from './support/origin.ts';
import { confEnvironment, type ProxyPlan, proxyConfig } from './support/shipped-config.ts';
import { headerPairs, startStubAgent } from './support/stub-agent.ts';
import { describeEachHaproxy, startStubbedProxy } from './support/stubbed-proxy.ts';

const compression = '    compression algo gzip\n    compression type application/json\n';
const cacheRules = `
    http-response set-header cache-control max-age=60
    http-request cache-use pages
    http-response cache-store pages
`;
const cacheSection = 'cache pages\n    total-max-size 4\n    max-age 60\n';
const filters = '    filter cache pages\n    filter compression\n';

const orders: Readonly<Record<string, Partial<ProxyPlan>>> = {
  above: { edit: (file, text) => (file === 'frontend-config.cfg' ? filters + text : text) },
  below: { frontend: filters + cacheRules },
};

describeEachHaproxy('compression and a cache', (binary) => {
  const request = { target: '/json?size=900', headers: { 'accept-encoding': 'gzip' } };
  for (const [order, plan] of Object.entries(orders)) {
    it(`${order} the agent's filter leave it the plain response, and the cached one too`, async () => {
      const around = { frontend: cacheRules, ...plan, defaults: compression, agentBackend: cacheSection };
      const proxy = await startStubbedProxy(binary, around);
      onTestFinished(() => proxy.stop());
      proxy.agent.script = () => ({ span_id: '7', request_body: true, response_body: true });
      for (const requestsAtOrigin of [1, 0]) {
        proxy.agent.messages.length = 0;
        proxy.origin.requests.length = 0;
        const response = await fetchOnce(proxy.httpPort, request);
        const [body] = proxy.agent.named('http-response-body-msg');
        const [headers] = proxy.agent.named('http-response-headers-msg');
        expect(header(response, 'content-encoding')).toBe('gzip');
        expect(proxy.origin.requests).toHaveLength(requestsAtOrigin);
        expect(String(body?.args.get('body'))).toContain('{"hello":"world"');
        const names = headerPairs(headers?.args.get('headers')).map(([name]) => name);
        expect(names).not.toContain('content-encoding');
      }
    });
  }
});

describeEachHaproxy("the operator's defaults do not reach the agent's backend", (binary) => {
  const lines = [
    ...['option forwardfor', 'option originalto', 'option http-buffer-request', 'option httpchk GET /'],
    ...['option http-no-delay', 'option prefer-last-server', 'cookie SRV insert indirect nocache'],
    ...['compression algo gzip', 'stats enable', 'source 127.0.0.2'],
    'default-server check ssl verify none send-proxy port 9',
  ];
  const around = {
    defaults: lines.map((line) => `    ${line}\n`).join(''),
    frontend: '    filter compression\n',
  };

  it.each([
    ['unnamed', (config: string): string => config],
    [
      'named with from',
      (config: string): string =>
        config
          .replace('\ndefaults\n', '\ndefaults base\n')
          .replace('frontend main', 'frontend main from base')
          .replace('\nbackend origin', '\nbackend origin from base'),
    ],
  ])('%s, and HAProxy warns about nothing', (_how, edit) => {
    const config = edit(proxyConfig({ httpPort: 80, originPort: 82, ...around }));
    const { ok, output } = checkConfig({ binary: binary.path, config, env: confEnvironment(3000) });
    expect(output.replace('Configuration file is valid', '')).toBe('');
    expect(ok).toBe(true);
  });

  it('and it is asked as ever', async () => {
    const proxy = await startStubbedProxy(binary, around);
    onTestFinished(() => proxy.stop());
    // The origin speaks no TLS: the client gets 503, after the agent was asked.
    await fetchOnce(proxy.httpPort);
    expect(proxy.agent.named('http-request-headers-msg')).toHaveLength(1);
  });
});

describeEachHaproxy("the agent's lines in a backend", (binary) => {
  it('are evaluated behind the rules of the frontend, whatever that allows', async () => {
    const [httpPort, origin] = [await freePort(), await startOrigin()];
    const agent = await startStubAgent(() => ({ blocked: true, status: 403 }));
    const whole = proxyConfig({ httpPort, originPort: origin.port });
    const start = whole.indexOf('# appsec-edge HAProxy configuration', whole.indexOf('frontend main'));
    const pasted = whole.slice(start, whole.indexOf('    default_backend origin'));
    const config = whole
      .replace(pasted, () => '    http-request allow\n')
      .replace('\nbackend origin\n', () => `\nbackend origin\n${pasted}`);
    const haproxy = await startHaproxy({
      binary: binary.path,
      config,
      readyPort: httpPort,
      env: confEnvironment(agent.port),
    });
    onTestFinished(async () => {
      await haproxy.stop();
      await agent.stop();
      await origin.stop();
    });
    expect(await fetchOnce(httpPort)).toMatchObject({ status: 403 });
    expect(origin.requests).toEqual([]);
  });
});
