// Part f: through HAProxy with the shipped files, against the same HAProxy process without the filter.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { freePort } from '../test/e2e/support/free-port.ts';
import { startHaproxy } from '../test/e2e/support/haproxy.ts';
import { confEnvironment, proxyConfig } from '../test/e2e/support/shipped-config.ts';
import { anyHaproxy } from '../tools/haproxy-binaries.ts';
import { sleep } from './support/clock.ts';
import { BenchDaemon } from './support/daemon.ts';
import type { HttpCommand, HttpReport } from './support/http-main.ts';
import { type HttpPlan, lostAnswerHeader } from './support/http-target.ts';
import { transactionsOf } from './support/http-transactions.ts';
import { type Latency, latencyOf } from './support/measure.ts';
import type { Options } from './support/options.ts';
import { figure, type Row, type Section, whole } from './support/table.ts';

const clientsFile = fileURLToPath(new URL('./support/http-main.ts', import.meta.url));
/** To each of the four: pages and API calls, with and without the filter. */
const perSecondEach = 150;
const [warmUpSeconds, seconds] = [3, 6];

export async function benchHaproxy({ tracing }: Options): Promise<Section> {
  const title = 'f  through HAProxy';
  const binary = await anyHaproxy();
  if ('reason' in binary)
    return { title, columns: [], rows: [], notes: [`left out: ${binary.reason}`], figures: binary };
  const reports = await run(binary.path, tracing);
  const [pagePlain, pageFiltered, callPlain, callFiltered] = reports.map(({ latencyUs }) =>
    latencyOf(latencyUs),
  );
  if (!pagePlain || !pageFiltered || !callPlain || !callFiltered)
    throw new Error('the clients did not report');
  const failures = reports.reduce((sum, report) => sum + report.failures, 0);
  const unanalysed = reports.reduce((sum, report) => sum + report.unanalysed, 0);
  return {
    title: `${title} ${binary.version}`,
    columns: ['without', 'with filter', 'added'],
    rows: [
      ...rowsOf('page', pagePlain, pageFiltered),
      ...rowsOf('API call, 5 KB JSON', callPlain, callFiltered),
      { label: 'answers that were not 200', cells: ['', '', whole(failures)] },
      { label: 'responses for which an answer of the agent was lost', cells: ['', '', whole(unanalysed)] },
    ],
    notes: [
      `${perSecondEach} requests a second of each of the four kinds, in turn, on a fixed schedule; the origin is HAProxy itself`,
      'added: the difference of the two percentiles',
    ],
    figures: {
      haproxy: binary.version,
      perSecondEach,
      pagePlain,
      pageFiltered,
      callPlain,
      callFiltered,
      failures,
    },
  };
}

function rowsOf(kind: string, plain: Latency, filtered: Latency): Row[] {
  const row = (percentile: string, of: (latency: Latency) => number): Row => ({
    label: `${kind}: latency, ${percentile}`,
    cells: [of(plain), of(filtered), of(filtered) - of(plain)].map((value) => figure(value, 'ms')),
  });
  return [
    row('p50', ({ p50Ms }) => p50Ms),
    row('p99', ({ p99Ms }) => p99Ms),
    row('p99.9', ({ p999Ms }) => p999Ms),
  ];
}

async function run(binary: string, tracing: boolean): Promise<readonly HttpReport[]> {
  const [httpPort, plainPort, originPort] = [await freePort(), await freePort(), await freePort()];
  const daemon = await BenchDaemon.start({ tracing });
  const haproxy = await startHaproxy({
    binary,
    config: `${proxyConfig({ httpPort, originPort, defaults: '    no log', frontend })}${withoutFilter(plainPort, originPort)}`,
    readyPort: httpPort,
    env: confEnvironment(daemon.port),
  });
  const clients = fork(clientsFile, [], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  try {
    const targets = plans(plainPort, httpPort);
    clients.send({ kind: 'start', targets, perSecond: perSecondEach * targets.length } satisfies HttpCommand);
    await sleep(warmUpSeconds * 1000);
    clients.send({ kind: 'report' } satisfies HttpCommand);
    await once(clients, 'message');
    await sleep(seconds * 1000);
    clients.send({ kind: 'report' } satisfies HttpCommand);
    const [reports] = (await once(clients, 'message')) as [readonly HttpReport[]];
    return reports;
  } finally {
    clients.kill('SIGKILL');
    await haproxy.stop();
    await daemon.stop();
  }
}

function plans(plainPort: number, filteredPort: number): HttpPlan[] {
  const transactions = transactionsOf('mix');
  const page = transactions.find(({ method, target }) => method === 'GET' && target.startsWith('/catalog/'));
  const call = transactions.find(({ body }) => body?.length === 5000);
  return [page, call].flatMap((transaction) => {
    if (transaction === undefined) return [];
    const { method, target, headers, body } = transaction;
    const plan = { method, target, headers, ...(body === undefined ? {} : { body }) };
    return [
      { ...plan, name: 'without', port: plainPort },
      { ...plan, name: 'with', port: filteredPort },
    ];
  });
}

const frontend = `    http-response set-header ${lostAnswerHeader} %[var(txn.dd.spoe_error)] if { var(txn.dd.spoe_error) -m found }`;

/** The same frontend without our rules, and an origin that costs as little as possible. */
function withoutFilter(plainPort: number, originPort: number): string {
  return `
frontend plain
    bind 127.0.0.1:${plainPort}
    default_backend origin

frontend origin-itself
    bind 127.0.0.1:${originPort}
    http-request return status 200 content-type text/html string "<!doctype html><title>shop</title>"
`;
}
