// What HAProxy's log says of a transaction of which not every message was inspected: never that it passed.
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { fetchOnce, type RequestParts } from './support/http-client.ts';
import { patientChecks, patientDatadogSet } from './support/patience.ts';
import { type ProtectedPlan, type ProtectedProxy, proxyOfThisTest } from './support/protected-proxy.ts';
import { uncomment } from './support/shipped-config.ts';
import { describeEachHaproxy, describeOneHaproxy, type FoundHaproxy } from './support/stubbed-proxy.ts';

const faulty = { NODE_OPTIONS: `--require ${join(import.meta.dirname, 'support', 'faulty-threads.cjs')}` };
const threads = { APPSEC_EDGE_ENGINE_THREADS: '2' };

/** A rule of the operator's, above ours, that ends the work on the request. */
const allowedEarly = '    http-request allow if { path /early }\n';
const withLog: NonNullable<ProtectedPlan['edit']> = (name, text) => {
  const edited = uncomment('frontend-config.cfg', 'log-format')(name, text);
  if (name !== 'frontend-config.cfg') return edited;
  return edited.replace(/filter spoe .*\n/, (line) => line + allowedEarly);
};
const withLogAtItsEnd =
  '    log-format "%r dd_verdict=%[var(txn.dd.verdict)] dd_error=%[var(txn.dd.spoe_error)]"\n';

async function said(proxy: ProtectedProxy, mark: string): Promise<string> {
  const line = await proxy.haproxy.log.waitFor(new RegExp(`mark=${mark}[ &].*dd_verdict=`));
  const [, verdict, error] = /dd_verdict=(\S+).* dd_error=(\S+)/.exec(line) ?? [];
  return `${verdict} ${error}`;
}

const json = (target: string, text: string): RequestParts => ({
  ...{ method: 'POST', target, body: text, headers: { 'content-type': 'application/json' } },
});

const page = (mark: string, rest = ''): RequestParts => ({ target: `/say?mark=${mark}${rest}` });
const mistaken = (mark: string, rest = ''): RequestParts => ({
  ...page(mark, rest),
  headers: { 'x-forwarded-for': 'a-mistake-of-ours' },
});

type Case = readonly [mark: string, parts: RequestParts, said: string];

const requests: readonly Case[] = [
  ['harmless', page('harmless'), 'pass -'],
  ['body', json('/echo?mark=body', '{"a":1}'), 'pass -'],
  ['reported', page('reported', '&q=attack-report'), 'report -'],
  ['failed', mistaken('failed'), 'error -'],
  ['failed-then-reported', mistaken('failed-then-reported', '&leak=leak-report'), 'report -'],
  ['thread-lost', page('thread-lost', '&a=end-this-thread%20'), 'skipped -'],
  ['thread-of-body-lost', json('/echo?mark=thread-of-body-lost', '{"a":"end-this-thread"}'), 'skipped -'],
];

async function verdictsOf(proxy: ProtectedProxy, cases: readonly Case[]): Promise<string[]> {
  const verdicts: string[] = [];
  for (const [mark, parts] of cases) {
    await fetchOnce(proxy.httpPort, parts);
    verdicts.push(`${mark}: ${await said(proxy, mark)}`);
  }
  return verdicts;
}

const wanted = (cases: readonly Case[]): string[] => cases.map(([mark, , verdict]) => `${mark}: ${verdict}`);

describeEachHaproxy('a transaction of which a part was not inspected', (binary) => {
  it('is no pass, and skipped and error stand', async () => {
    const proxy = await proxyOfThisTest(binary, {
      edit: withLog,
      daemon: { env: { ...faulty, ...threads } },
    });
    const cases: readonly Case[] = [['early', { target: '/early?mark=early' }, 'partial -'], ...requests];
    expect(await verdictsOf(proxy, cases)).toEqual(wanted(cases));
  });
});

describeOneHaproxy("a transaction of which a part was not inspected, with Datadog's files", (binary) => {
  it('is no pass, and skipped and error stand', async () => {
    const proxy = await proxyOfThisTest(binary, {
      set: patientDatadogSet(),
      frontend: withLogAtItsEnd,
      daemon: { env: { ...faulty, ...threads } },
    });
    expect(await verdictsOf(proxy, requests)).toEqual(wanted(requests));
  });
});

/** The agent stands still until the request's message is given up and that of the response is on its way. */
async function stoppedWhile(binary: FoundHaproxy, count: number, goesOn: (proxy: ProtectedProxy) => unknown) {
  const proxy = await proxyOfThisTest(binary, {
    // One thread: all messages share few connections.
    global: '    nbthread 1\n',
    // What is left of it for the responses is for a busy machine. Its health checks wait for an agent that stands still.
    env: { DD_SPOA_PROCESSING_TIMEOUT: '3s' },
    agentBackend: patientChecks,
    edit: uncomment('frontend-config.cfg', 'log-format'),
  });
  await fetchOnce(proxy.httpPort, { target: '/say?mark=before' });
  proxy.daemon.signal('SIGSTOP');
  const targets = Array.from(
    { length: count },
    (_, index) => `/say?mark=lost-${index}&q=attack-report&header=leak-block`,
  );
  const answers = targets.map((target) => fetchOnce(proxy.httpPort, { target }));
  while (targets.some((target) => !proxy.reached(target)))
    await new Promise((resolve) => setTimeout(resolve, 5));
  // The response has come back to HAProxy and been asked about.
  await new Promise((resolve) => setTimeout(resolve, 100));
  await goesOn(proxy);
  const statuses = (await Promise.all(answers)).map(({ status }) => status);
  const verdicts: string[] = [];
  for (let index = 0; index < count; index += 1) verdicts.push(await said(proxy, `lost-${index}`));
  return { proxy, statuses, verdicts };
}

/** Below 3.0 the shipped files let a transaction that lost an answer ask no more. */
const asksNoMore = ({ branch }: FoundHaproxy): boolean => branch === '2.6' || branch === '2.8';

describeEachHaproxy('an agent that is too late once', (binary) => {
  it('costs the messages that were late, and no other answer is taken for theirs', async () => {
    const count = 12;
    const { proxy, statuses, verdicts } = await stoppedWhile(binary, count, ({ daemon }) =>
      daemon.signal('SIGCONT'),
    );
    const all = <T>(one: T): T[] => Array.from({ length: count }, () => one);
    // The answers about the requests said "report": nobody may take them for those about the responses, which block.
    expect(statuses).toEqual(all(asksNoMore(binary) ? 200 : 403));
    expect(verdicts).toEqual(all(asksNoMore(binary) ? '- 1' : 'block 1'));
    await fetchOnce(proxy.httpPort, { target: '/say?mark=after' });
    expect(await said(proxy, 'after')).toBe('pass -');
    expect(proxy.daemon.report()).not.toContain('connection closed');
  });

  it('and dead then is told as what it was first', async () => {
    const { verdicts } = await stoppedWhile(binary, 2, ({ daemon }) => daemon.stop('SIGKILL'));
    expect(verdicts).toEqual(['- 1', '- 1']);
  });
});
