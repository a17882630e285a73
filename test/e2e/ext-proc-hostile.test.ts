// The hostile requests that are found behind HAProxy (docs/security.md), written raw to real Envoy: there, too, none of them
// reaches the origin. Envoy refuses some by itself.
import { describe, expect, it } from 'vitest';
import { describeEachEnvoy } from './support/envoy.ts';
import { attack, type HostileRequest, targetOf } from './support/hostile-request.ts';
import { hostileRequests } from './support/hostile-requests.ts';
import { Http1Connection } from './support/http-client.ts';
import { http2Response, pingAnswered } from './support/http2-frames.ts';
import { type ProtectedEnvoy, shareProtectedEnvoy } from './support/protected-envoy.ts';

/** The status of the last answer; undefined when the connection ended without one. */
async function answerTo(
  request: HostileRequest,
  { port, reached }: ProtectedEnvoy,
): Promise<number | undefined> {
  const { id, bytes, answers = 1, afterContinue, afterPing, afterHead, stream } = request;
  const connection = new Http1Connection(port);
  connection.write(bytes);
  try {
    if (afterPing !== undefined) {
      await pingAnswered(connection);
      connection.write(afterPing);
    }
    if (afterHead !== undefined) {
      await expect
        .poll(() => reached(targetOf(id)), { interval: 10, timeout: 1_000 })
        .toBe(true)
        .catch(() => undefined);
      connection.write(afterHead);
    }
    if (stream !== undefined) return (await http2Response(connection, stream)).status;
    if (afterContinue !== undefined) {
      expect((await connection.head()).status).toBe(100);
      connection.write(afterContinue);
    }
    let status: number | undefined;
    for (let count = 0; count < answers; count += 1) ({ status } = await connection.response());
    return status;
  } catch {
    return undefined;
  } finally {
    connection.close();
  }
}

/** What reaches the origin without the attack. */
const headOnly: Readonly<Record<string, string>> = {
  'field-listed-in-connection': 'Envoy takes out what Connection names, before anybody sees it',
  'upgrade-body': 'the head; the body is held, see ext-proc-blocking.test.ts',
};

describeEachEnvoy('hostile requests', (binary) => {
  const found = hostileRequests.filter(({ outcome }) => outcome.kind === 'found');
  describe.each([
    ['ordinary', {}],
    ['recommended', { DD_APPSEC_RULES: '', DD_APPSEC_PROTECT: 'all' }],
  ] as const)('%s', (setup, env) => {
    const site = shareProtectedEnvoy(binary, { env });
    it.each(found.filter((request) => (request.setup ?? 'ordinary') === setup))('$id', async (request) => {
      const status = await answerTo(request, site());
      if (Object.hasOwn(headOnly, request.id)) {
        const arrived = site().origin.requests.filter(({ target }) => target.includes(targetOf(request.id)));
        expect(JSON.stringify(arrived)).not.toContain(attack);
        return;
      }
      expect(site().reached(targetOf(request.id))).toBe(false);
      expect(status).not.toBe(200);
    });
  });
});
