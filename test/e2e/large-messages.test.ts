// Messages of the size that HAProxy's buffer allows: whatever tune.bufsize is, a large body is inspected, costs no other
// request its answer, and protection stays on.
import { describe, expect, it } from 'vitest';
import { fetchOnce, type HttpResponse, type RequestParts } from './support/http-client.ts';
import { type ProtectedProxy, type SharedPlan, shareProtectedProxy } from './support/protected-proxy.ts';
import { uncomment } from './support/shipped-config.ts';
import { describeEachHaproxy } from './support/stubbed-proxy.ts';

/** A body of so many bytes; what `end` says stands at its end. */
function upload(mark: string, bytes: number, end = ''): RequestParts {
  const words = 'harmless words '.repeat(Math.ceil(bytes / 15));
  return {
    ...{ method: 'POST', target: `/echo?${mark}`, headers: { 'content-type': 'text/plain' } },
    body: `${words.slice(0, bytes - end.length)}${end}`,
  };
}

/** The verdict and the error of a request, as HAProxy's log has them. */
async function logged(proxy: ProtectedProxy, mark: string): Promise<string> {
  const line = await proxy.haproxy.log.waitFor(new RegExp(`${mark} HTTP/1.1" dd_verdict`));
  const [, verdict = '', error = ''] = /dd_verdict=(\S+) .*dd_error=(\S+)/.exec(line) ?? [];
  return `${verdict} ${error}`;
}

const smallOnes = Array.from({ length: 24 }, (_, index) => index);

/** Small requests while `large` is under way; every fourth is an attack. */
async function besides(proxy: ProtectedProxy, mark: string, large: RequestParts): Promise<HttpResponse> {
  const answer = fetchOnce(proxy.httpPort, large);
  const small = await Promise.all(
    smallOnes.map((index) =>
      fetchOnce(proxy.httpPort, {
        target: `/?${mark}-${index}-${index % 4 === 0 ? 'attack-block' : 'harmless'}`,
      }),
    ),
  );
  expect(small.map(({ status }) => status)).toEqual(smallOnes.map((index) => (index % 4 === 0 ? 403 : 200)));
  return answer;
}

async function verdictsOf(proxy: ProtectedProxy, mark: string): Promise<string[]> {
  return Promise.all(smallOnes.map((index) => logged(proxy, `${mark}-${index}-(attack-block|harmless)`)));
}
const verdictsWanted = smallOnes.map((index) => (index % 4 === 0 ? 'block -' : 'pass -'));

const planWith = (bufferBytes: number, env: Record<string, string> = {}): SharedPlan => ({
  global: `    tune.bufsize ${bufferBytes}`,
  edit: uncomment('frontend-config.cfg', 'log-format'),
  env: { DD_SPOA_PROCESSING_TIMEOUT: '5s' },
  daemon: { env },
});

describe.each([262_144, 1_048_576])('tune.bufsize %i', (bufferBytes) => {
  describeEachHaproxy('and the daemon as it comes', (binary) => {
    const proxy = shareProtectedProxy(binary, planWith(bufferBytes));
    const bodyBytes = bufferBytes - 30_000;

    it.each([140_000, bodyBytes])(
      'inspects a body of %i bytes, and others keep their answers',
      async (bytes) => {
        const mark = `clean-${bytes}`;
        const { status } = await besides(proxy(), mark, upload(mark, bytes));
        expect(status).toBe(200);
        expect(await logged(proxy(), mark)).toBe('pass -');
        expect(await verdictsOf(proxy(), mark)).toEqual(verdictsWanted);
      },
    );

    it.each([140_000, bodyBytes])('blocks an attack at the end of %i bytes', async (bytes) => {
      const mark = `attack-at-the-end-${bytes}`;
      const { status } = await fetchOnce(proxy().httpPort, upload(mark, bytes, ' attack-block'));
      expect([status, proxy().reached(mark)]).toEqual([403, false]);
    });

    it('goes on inspecting afterwards', async () => {
      expect((await fetchOnce(proxy().httpPort, { target: '/?after=attack-block' })).status).toBe(403);
    });
  });
});

// What HAProxy may send is more than the agent is allowed to keep: Datadog's files, or ours without DD_SPOA_BODY_LIMIT.
describeEachHaproxy('tune.bufsize 1048576 and a daemon that keeps frames of 131072', (binary) => {
  const small = { DD_HAPROXY_SPOA_MAX_FRAME_SIZE: '131072' };

  describe('and nothing that keeps bodies within it', () => {
    const proxy = shareProtectedProxy(binary, planWith(1_048_576, small));

    it.each([140_000, 1_000_000])(
      'lets a body of %i bytes through and says so; others keep their answers',
      async (bytes) => {
        const mark = `unseen-${bytes}`;
        const skipped = (): Promise<number> =>
          proxy().daemon.metric('skipped_total', { reason: 'too-large' });
        const before = await skipped();
        const { status } = await besides(proxy(), mark, upload(mark, bytes, ' attack-block'));
        expect([status, proxy().reached(mark)]).toEqual([200, true]);
        expect(await logged(proxy(), mark)).toMatch(/^(skipped|partial) -$/);
        expect(await verdictsOf(proxy(), mark)).toEqual(verdictsWanted);
        expect(await skipped()).toBe(before + 1);
      },
    );

    it('inspects what fits, before and after', async () => {
      const { status } = await fetchOnce(proxy().httpPort, upload('fits', 100_000, ' attack-block'));
      expect(status).toBe(403);
    });
  });

  describe('and DD_SPOA_BODY_LIMIT below it', () => {
    const plan = planWith(1_048_576, small);
    const proxy = shareProtectedProxy(binary, {
      ...plan,
      env: { ...plan.env, DD_SPOA_BODY_LIMIT: '120000' },
    });

    it('inspects the beginning of a larger body, and says that it is a part', async () => {
      const { status } = await fetchOnce(proxy().httpPort, upload('begins', 140_000, ' harmless'));
      const beginning = upload('hidden-in-the-beginning', 140_000);
      const blocked = await fetchOnce(proxy().httpPort, {
        ...beginning,
        body: `attack-block ${beginning.body}`,
      });
      expect([status, blocked.status]).toEqual([200, 403]);
      expect(await logged(proxy(), 'begins')).toBe('partial -');
      expect(await proxy().daemon.metric('skipped_total')).toBe(0);
    });

    it('inspects a smaller one whole', async () => {
      const { status } = await fetchOnce(proxy().httpPort, upload('small', 15_000, ' harmless'));
      const blocked = await fetchOnce(proxy().httpPort, upload('small-attack', 119_000, ' attack-block'));
      expect([status, blocked.status]).toEqual([200, 403]);
      expect(await logged(proxy(), 'small')).toBe('pass -');
    });
  });
});
