// Secrets of clients, right beside an attack: neither the log, at its most talkative, nor anything that reaches the
// Datadog Agent may show them.
import { describe, expect, it } from 'vitest';
import { fetchOnce, type RequestParts } from './support/http-client.ts';
import { describeEachHaproxy } from './support/stubbed-proxy.ts';
import { ruleIdsOf, shareTracedProxy } from './support/traced-proxy.ts';
import { browser } from './support/whole-span.ts';

/** Found by the rules of the tests and by the recommended ones, each in its own way. */
const attack = 'attack-report <script>alert(1)</script>';
const inUrl = encodeURIComponent(attack);
const form = 'application/x-www-form-urlencoded';

/** The secret stands where an application would have one. By path. */
function requests(secret: string): Record<string, RequestParts> {
  const beside = `${secret} ${attack}`;
  const body = (type: string, text: string): RequestParts => ({
    ...{ method: 'POST', headers: { 'content-type': type }, body: text },
  });
  const json = (value: unknown): RequestParts => body('application/json', JSON.stringify(value));
  const part = `--b\r\ncontent-disposition: form-data; name="api_key"\r\n\r\n${beside}\r\n--b--\r\n`;
  return {
    '/authorization': { headers: { authorization: `Bearer ${beside}` } },
    '/proxy-authorization': { headers: { 'proxy-authorization': `Basic ${beside}` } },
    '/api-key': { headers: { 'x-api-key': beside } },
    '/token-header': { headers: { 'x-auth-token': beside } },
    '/bearer-elsewhere': { headers: { 'x-forwarded-auth': `bearer ${beside}` } },
    '/cookie': { headers: { cookie: `PHPSESSID=${secret}${inUrl}; a=b` } },
    '/cookie-token': { headers: { cookie: `a=b; access_token=${secret}${inUrl}` } },
    // Here the attack is in its neighbour.
    '/cookie-beside': { headers: { cookie: `session=${secret}; q=${inUrl}` } },
    '/query': { target: `/query?token=${secret}${inUrl}` },
    '/query-beside': { target: `/query-beside?password=${secret}&q=${inUrl}` },
    '/query-escaped-name': { target: `/query-escaped-name?api%5Fkey=${secret}&q=${inUrl}` },
    '/form': body(form, `password=${secret}${inUrl}&a=b`),
    '/form-beside': body(form, `password=${secret}&q=${inUrl}`),
    '/json': json({ user: { password: beside } }),
    '/json-list': json({ tokens: ['a', beside] }),
    '/json-beside': json({ secret, q: attack }),
    '/json-malformed': body('application/json', `{"password":"${beside}"`),
    '/text': body('text/plain', `password=${beside}`),
    '/multipart': body('multipart/form-data; boundary=b', part),
  };
}

/** Letters only: it looks the same, escaped or not. Each case has its own. */
const cases = Object.keys(requests('')).map((path, index) => {
  const secret = `sesameopen${String.fromCharCode(97 + index)}sesame`;
  return { path, secret, request: requests(secret)[path] ?? {} };
});

describeEachHaproxy('secrets', (binary) => {
  describe.each([
    { which: 'the rules of the tests', env: {}, looked: /./ },
    // They look into few headers.
    {
      which: 'the recommended rules',
      env: { DD_APPSEC_RULES: '' },
      looked: /query|form|json|text|multipart/,
    },
  ])('with $which', ({ env, looked }) => {
    const proxy = shareTracedProxy(binary, {
      daemonEnv: { DD_APM_TRACING_ENABLED: 'true', APPSEC_EDGE_LOG_LEVEL: 'trace', ...env },
    });

    it.each(cases.filter(({ path }) => looked.test(path)))('stay where they are: $path', async (one) => {
      const { path, request, secret } = one;
      const { daemon, agent, httpPort } = proxy();
      await fetchOnce(httpPort, { target: path, ...request, headers: { ...browser, ...request.headers } });
      const span = await proxy().span(`${request.method ?? 'GET'} ${path}`);
      // It was seen, and told: otherwise there would be nothing to keep.
      expect(ruleIdsOf(span)).not.toEqual([]);
      await daemon.securityEvent(path);
      expect(daemon.log.lines.filter((line) => line.includes(secret))).toEqual([]);
      const shown = agent.bodies.filter((body) => body.includes(secret));
      expect(shown.map((body) => body.toString())).toEqual([]);
    });
  });
});
