// Ways to slip past inspection, written raw to real HAProxy in front of the real daemon. What comes of each, and why
// some pass, stands in docs/security.md: test/docs-security.test.ts compares.
import { describe, expect, it } from 'vitest';
import type { SecurityEvent } from './support/daemon.ts';
import { type HostileRequest, type Outcome, type Setup, targetOf } from './support/hostile-request.ts';
import { hostileRequests } from './support/hostile-requests.ts';
import { Http1Connection, type HttpResponse } from './support/http-client.ts';
import { http2Response, pingAnswered } from './support/http2-frames.ts';
import { type ProtectedProxy, type SharedPlan, shareProtectedProxy } from './support/protected-proxy.ts';
import { describeEachHaproxy } from './support/stubbed-proxy.ts';

const datadogRules = { DD_APPSEC_RULES: '', DD_APPSEC_PROTECT: 'all' };
const setups: Readonly<Record<Setup, SharedPlan>> = {
  ordinary: {},
  'large-buffer': { global: 'tune.bufsize 65536' },
  recommended: { daemon: { env: datadogRules } },
  hurried: { daemon: { env: { ...datadogRules, DD_APPSEC_WAF_TIMEOUT: '1ms' } } },
};

async function answerTo(
  { id, bytes, answers = 1, afterContinue, afterPing, afterHead, stream }: HostileRequest,
  proxy: ProtectedProxy,
): Promise<HttpResponse> {
  const connection = new Http1Connection(stream === undefined ? proxy.httpPort : proxy.http2Port);
  connection.write(bytes);
  try {
    if (afterPing !== undefined) {
      await pingAnswered(connection);
      connection.write(afterPing);
    }
    if (afterHead !== undefined) {
      await expect.poll(() => proxy.reached(targetOf(id)), { interval: 10 }).toBe(true);
      connection.write(afterHead);
    }
    if (stream !== undefined) return await http2Response(connection, stream);
    if (afterContinue !== undefined) {
      expect((await connection.head()).status).toBe(100);
      connection.write(afterContinue);
    }
    for (let skipped = 1; skipped < answers; skipped += 1) await connection.response();
    return await connection.response();
  } finally {
    connection.close();
  }
}

/** The event that a blocking page names; the answer to HEAD has no page. */
async function eventOf(id: string, { body }: HttpResponse, proxy: ProtectedProxy): Promise<SecurityEvent> {
  if (body === '') return proxy.daemon.securityEvent(targetOf(id));
  const { security_response_id: responseId } = JSON.parse(body) as { readonly security_response_id: string };
  return JSON.parse(
    await proxy.daemon.log.waitFor(new RegExp(`"event":"security".*"${responseId}"`)),
  ) as SecurityEvent;
}

async function expectOutcome(
  request: HostileRequest,
  outcome: Outcome,
  proxy: ProtectedProxy,
): Promise<void> {
  if (outcome.kind === 'refused' && outcome.status === undefined) {
    const error = outcome.error ?? /^connection closed before .* after: $/s;
    await expect(answerTo(request, proxy)).rejects.toThrow(error);
    expect(proxy.reached(targetOf(request.id))).toBe(false);
    return;
  }
  const partial = (): Promise<number> =>
    proxy.daemon.metric('bodies_partial_total', { phase: 'request-body' });
  const partialBefore = await partial();
  const response = await answerTo(request, proxy);
  if (outcome.kind === 'passes') {
    expect(response.status).toBe(outcome.status ?? 200);
    expect((await partial()) - partialBefore).toBe(outcome.partial === true ? 1 : 0);
    expect(proxy.reached(targetOf(request.id))).toBe(true);
    return;
  }
  expect(proxy.reached(targetOf(request.id))).toBe(false);
  if (outcome.kind === 'refused') {
    expect(response.status).toBe(outcome.status);
    // HAProxy's own page.
    expect(response.body).toContain(`<h1>${outcome.status} `);
    return;
  }
  expect(response.status).toBe(403);
  const event = await eventOf(request.id, response, proxy);
  const [rule] = event.rules.filter(({ id }) => id === (outcome.rule ?? 'req-block'));
  expect(rule?.matches[0]?.address, JSON.stringify(event.rules)).toBe(outcome.address);
  if (outcome.keyPath !== undefined) expect(rule?.matches[0]?.key_path).toEqual(outcome.keyPath);
}

describeEachHaproxy('hostile requests', (binary) => {
  const { branch } = binary;
  for (const setup of ['ordinary', 'large-buffer', 'recommended', 'hurried'] as const) {
    describe(setup, () => {
      const proxy = shareProtectedProxy(binary, setups[setup]);
      const requests = hostileRequests.filter((request) => (request.setup ?? 'ordinary') === setup);
      it.each(requests)('$id', (request) =>
        expectOutcome(request, request.but?.[branch] ?? request.outcome, proxy()),
      );
    });
  }
});
