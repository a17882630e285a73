// Engine threads in the real daemon, behind real HAProxy: every message finds its thread, and what one thread does or
// suffers is seen in all the right places.
import { mkdtempSync, renameSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { fetchOnce, type HttpResponse, header, type RequestParts } from './support/http-client.ts';
import { startLoad } from './support/load.ts';
import { asm, override } from './support/policy-cases.ts';
import { type ProtectedProxy, shareProtectedProxy } from './support/protected-proxy.ts';
import { describeEachHaproxy, describeOneHaproxy, type FoundHaproxy } from './support/stubbed-proxy.ts';

/** The client sees what HAProxy keeps of a transaction. */
const shown = `
    http-after-response set-header x-dd-identity %[var(txn.dd.span_id)]
    http-after-response set-header x-dd-verdict %[var(txn.dd.verdict)]
    http-after-response set-header x-dd-reason %[var(txn.dd.skipped_reason)]
`;
const threadOf = (response: HttpResponse): string | undefined =>
  header(response, 'x-dd-identity')?.split('.')[3];

const json = (text: string, mark: string): RequestParts => ({
  ...{ method: 'POST', target: `/echo?${mark}`, body: text },
  headers: { 'content-type': 'application/json' },
});

/** As many at once, so that several threads are at work. */
function together<T>(count: number, request: (index: number) => Promise<T>): Promise<T[]> {
  return Promise.all(Array.from({ length: count }, (_, index) => request(index)));
}

function numberedThreads(count: number): string[] {
  return Array.from({ length: Math.max(count, 1) }, (_, index) => String(index));
}

/** One after the other, so that idle threads take turns; the statuses seen. */
async function statusesOfAllThreads(
  proxy: ProtectedProxy,
  parts: RequestParts,
  rounds: number,
): Promise<Set<number>> {
  const responses: HttpResponse[] = [];
  for (let round = 0; round < rounds; round += 1) responses.push(await fetchOnce(proxy.httpPort, parts));
  return new Set(responses.map(({ status }) => status));
}

function behaves(binary: FoundHaproxy, threads: number): void {
  const env = { APPSEC_EDGE_ENGINE_THREADS: String(threads) };
  const proxy = shareProtectedProxy(binary, { frontend: shown, daemon: { env }, ownDaemon: true });
  const fetch = (parts: RequestParts): Promise<HttpResponse> => fetchOnce(proxy().httpPort, parts);
  const statuses = async (count: number, parts: (index: number) => RequestParts): Promise<number[]> =>
    (await together(count, (index) => fetch(parts(index)))).map(({ status }) => status);
  const all = (count: number, status: number): number[] => Array.from({ length: count }, () => status);

  it('takes all threads there are, and says how many', async () => {
    const seen = new Set<string | undefined>();
    for (let count = 0; count < 12; count += 1) seen.add(threadOf(await fetch({ target: '/' })));
    expect([...seen].sort()).toEqual(numberedThreads(threads));
    expect(proxy().daemon.report()).toContain(`"engineThreads":${threads}`);
  });

  it('lets through what is harmless and blocks attacks in requests, bodies and responses', async () => {
    expect(await statuses(20, () => ({ target: '/json' }))).toEqual(all(20, 200));
    expect(await statuses(20, () => ({ target: '/?q=attack-block' }))).toEqual(all(20, 403));
    expect(await statuses(20, (index) => json('{"a":1}', `harmless-${index}`))).toEqual(all(20, 200));
    expect(await statuses(20, (index) => json('{"a":"attack-block"}', `attack-${index}`))).toEqual(
      all(20, 403),
    );
    expect(await statuses(20, () => ({ target: '/say?leak=leak-block' }))).toEqual(all(20, 403));
    expect(proxy().reached('attack-')).toBe(false);
    expect(proxy().reached('harmless-19')).toBe(true);
  });

  it('finds the request of each response', async () => {
    const mark = (index: number): string => `response-${index}-`;
    await together(30, (index) => fetch({ target: `/say?leak=leak-block&mark=${mark(index)}` }));
    for (let index = 0; index < 30; index += 1) {
      expect(await proxy().daemon.securityEvent(mark(index))).toMatchObject({
        ...{ phase: 'response-body', verdict: 'block', status: 200, host: 'site.example' },
      });
      expect(proxy().daemon.securityEvents(mark(index))).toHaveLength(1);
    }
  });

  it('adds up what all threads count, and no counter goes back', async () => {
    const counted = (): Promise<number> =>
      proxy().daemon.metric('messages_total', { message: 'http-request-headers-msg' });
    const before = await counted();
    let last = before;
    const done = together(60, () => fetch({ target: '/json' }));
    let running = true;
    void done.finally(() => {
      running = false;
    });
    while (running) {
      const now = await counted();
      expect(now).toBeGreaterThanOrEqual(last);
      last = now;
    }
    await done;
    expect(await counted()).toBe(before + 60);
    expect(await proxy().daemon.metric('waf_seconds_count', { phase: 'request-headers' })).toBe(before + 60);
    expect(await proxy().daemon.metric('skipped_total')).toBe(0);
    const { body } = await proxy().daemon.health('/metrics');
    expect(body).toMatch(/^process_start_time_seconds \d/m);
    expect(body).toMatch(/^nodejs_version_info/m);
  });

  it('keeps no transaction whose last message came', async () => {
    await expect.poll(() => proxy().daemon.metric('transactions_live')).toBe(0);
    expect(await proxy().daemon.metric('engine_threads_lost_total')).toBe(0);
  });

  it('ends with a signal', async () => {
    const load = startLoad(proxy().httpPort, 4);
    await load.seen(50);
    await load.stop();
    expect(await proxy().daemon.stop('SIGTERM')).toBe(0);
    expect(proxy().daemon.log.lines.at(-1)).toContain('stopped');
  });
}

describeEachHaproxy('three engine threads', (binary) => behaves(binary, 3));
describeOneHaproxy('one engine thread', (binary) => behaves(binary, 1));
describeOneHaproxy('no engine thread', (binary) => behaves(binary, 0));

describeOneHaproxy('a policy', (binary) => {
  const folder = mkdtempSync(join(tmpdir(), 'appsec-edge-threads-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const env = { APPSEC_EDGE_ENGINE_THREADS: '3', APPSEC_EDGE_POLICY_FOLDER: folder };
  const proxy = shareProtectedProxy(binary, { frontend: shown, daemon: { env }, ownDaemon: true });

  it('reaches all threads, and leaves them', async () => {
    const attack = { target: '/?q=attack-report' };
    const answers = (): Promise<Set<number>> => statusesOfAllThreads(proxy(), attack, 12);
    const file = join(folder, 'override.json');
    const said = (what: string): Promise<string> =>
      proxy().daemon.log.waitFor(new RegExp(`override.json.*${what}`));
    expect(await answers()).toEqual(new Set([200]));
    const { content } = asm({ rules_override: [override('req-report', { on_match: ['block'] })] });
    writeFileSync(`${file}.new`, JSON.stringify(content));
    renameSync(`${file}.new`, file);
    await said('policy file in effect');
    expect(await answers()).toEqual(new Set([403]));
    unlinkSync(file);
    await said('policy file removed');
    expect(await answers()).toEqual(new Set([200]));
  });
});

describeOneHaproxy('an engine thread that ends', (binary) => {
  const folder = mkdtempSync(join(tmpdir(), 'appsec-edge-threads-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const { content } = asm({ rules_override: [override('req-report', { on_match: ['block'] })] });
  writeFileSync(join(folder, 'override.json'), JSON.stringify(content));
  const preload = join(import.meta.dirname, 'support', 'mortal-threads.cjs');
  const env = {
    APPSEC_EDGE_ENGINE_THREADS: '3',
    APPSEC_EDGE_POLICY_FOLDER: folder,
    NODE_OPTIONS: `--require ${preload}`,
  };
  const proxy = shareProtectedProxy(binary, { frontend: shown, daemon: { env }, ownDaemon: true });
  const lost = (): Promise<number> => proxy().daemon.metric('engine_threads_lost_total');

  describe('under load', () => {
    it('costs no client an error, and is replaced by one that knows the policy', async () => {
      const { httpPort, daemon } = proxy();
      const load = startLoad(httpPort, 6);
      await load.seen(300);
      const counted = await daemon.metric('messages_total');
      const killing = await fetchOnce(httpPort, json('{"a":"end-this-thread"}', 'the-end'));
      expect(killing.status).toBe(200);
      expect(header(killing, 'x-dd-verdict')).toMatch(/^(pass|skipped)$/);
      const line = await daemon.log.waitFor(/an engine thread ended/);
      expect(JSON.parse(line)).toMatchObject({ level: 'error', err: { message: 'exit code 9' } });
      await load.seen(100);
      await daemon.log.waitFor(/engine thread replaced/);
      await load.seen(300);
      const { failures } = await load.stop();
      expect(failures).toEqual([]);
      expect(await lost()).toBe(1);
      expect(await daemon.metric('skipped_total', { reason: 'engine-lost' })).toBeGreaterThanOrEqual(1);
      expect(await daemon.metric('messages_total')).toBeGreaterThan(counted);
    });

    it('leaves nothing unprotected', async () => {
      const { httpPort, daemon } = proxy();
      const seen = new Set<string | undefined>();
      for (let count = 0; count < 12; count += 1)
        seen.add(threadOf(await fetchOnce(httpPort, { target: '/' })));
      expect([...seen].sort()).toEqual(numberedThreads(3));
      const ofPolicy = await statusesOfAllThreads(proxy(), { target: '/?q=attack-report' }, 12);
      const ofRules = await statusesOfAllThreads(proxy(), { target: '/?q=attack-block' }, 12);
      expect([ofPolicy, ofRules]).toEqual([new Set([403]), new Set([403])]);
      expect(await daemon.metric('engine_threads_lost_total')).toBe(1);
    });
  });

  it('lets the message through that it had, says why, and its response is analysed elsewhere', async () => {
    const { httpPort, daemon } = proxy();
    const before = await lost();
    const request = json('{"a":"end-this-thread"}', 'alone');
    const response = await fetchOnce(httpPort, { ...request, target: '/say?leak=leak-block&alone' });
    expect(response.status).toBe(403);
    expect(header(response, 'x-dd-reason')).toBe('engine-lost');
    expect(await lost()).toBe(before + 1);
    // The transaction was adopted: the response is reported, though its request is gone.
    const line = await daemon.log.waitFor(/"event":"security",.*"phase":"response-body"/);
    expect(JSON.parse(line)).not.toHaveProperty('path');
  });
});
