/*
 * `npm run soak -- --minutes 20`: half load and a fault of some kind every few seconds. At the end, memory, descriptors
 * and live transactions must be where they were at the beginning: one line a minute shows the way there. Exit code 1
 * when they are not, when a client saw an error, or when protection did not come back.
 */
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { allHaproxyBinaries } from '../../tools/haproxy-binaries.ts';
import type { Daemon } from '../e2e/support/daemon.ts';
import { freePort } from '../e2e/support/free-port.ts';
import { exitOnSignals } from '../support/child-processes.ts';
import { FakeAgent } from '../support/fake-agent.ts';
import { PacedLoad } from './support/paced-load.ts';
import { type Scene, startScene, vitalsOf } from './support/scene.ts';

exitOnSignals();
const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '20' },
    rate: { type: 'string', default: '250' },
    haproxy: { type: 'string', default: '3.2' },
    seed: { type: 'string', default: String(Date.now() % 100_000) },
  },
});
const minutes = Number(values.minutes);
const faultEveryMs = 8000;
/** Until the first measure and before the last one: no faults. */
const calmMs = 25_000;
const settleMs = 5000;

interface Sample {
  readonly residentMb: number;
  readonly descriptors: number;
  readonly live: number;
}

const binary = (await allHaproxyBinaries()).find(({ branch }) => branch === values.haproxy);
if (binary?.kind !== 'found') throw new Error(`HAProxy ${values.haproxy} is not here`);
const folder = mkdtempSync(join(tmpdir(), 'appsec-edge-soak-'));
const policyFile = join(folder, 'policy.json');
const datadogPort = await freePort();
let datadog: FakeAgent | undefined = await FakeAgent.start(datadogPort);
const scene = await startScene({
  ...{ binary: binary.path, agents: 2, kind: 'master' },
  daemon: {
    env: {
      ...{ DD_TRACE_ENABLED: 'true', DD_AGENT_HOST: '127.0.0.1', DD_TRACE_AGENT_PORT: String(datadogPort) },
      ...{ DD_INSTRUMENTATION_TELEMETRY_ENABLED: 'false', APPSEC_EDGE_POLICY_FOLDER: folder },
      ...{ DD_TRACE_GIT_METADATA_ENABLED: 'false', APPSEC_EDGE_SHUTDOWN_GRACE: '' },
    },
  },
  env: { DD_SPOA_PROCESSING_TIMEOUT: '1s', DD_SPOA_HELLO_TIMEOUT: '1s', DD_SPOA_TIMEOUT: '10s' },
});

let seed = Number(values.seed);
/** From 0 to below `count`; the same for the same seed. */
function draw(count: number): number {
  seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
  return Math.floor((seed / 2_147_483_648) * count);
}

const anAgent = (): Daemon => {
  const agent = scene.agents[draw(scene.agents.length)];
  if (agent === undefined) throw new Error('there is no agent');
  return agent;
};
const faults: Readonly<Record<string, () => Promise<void>>> = {
  async 'agent killed'() {
    const agent = anAgent();
    await agent.stop('SIGKILL');
    await agent.start();
  },
  async 'agent restarted'() {
    const agent = anAgent();
    await agent.stop('SIGTERM');
    await agent.start();
  },
  'HAProxy reloaded': () => scene.haproxy.reload(),
  async 'policy broken'() {
    writePolicy('{"rules_override": [');
    await sleep(2000);
    writePolicy('{"rules_override": []}');
  },
  async 'Datadog Agent away'() {
    datadog?.stop();
    datadog = undefined;
    await sleep(3000);
    datadog = await FakeAgent.start(datadogPort);
  },
  async 'SIGHUP to both'() {
    for (const agent of scene.agents) agent.signal('SIGHUP');
  },
};
const done = new Map<string, number>();

async function makeTrouble(untilMs: number): Promise<void> {
  const names = Object.keys(faults);
  while (performance.now() < untilMs) {
    const name = names[draw(names.length)] ?? '';
    await faults[name]?.();
    done.set(name, (done.get(name) ?? 0) + 1);
    await sleep(Math.min(faultEveryMs, Math.max(0, untilMs - performance.now())));
  }
}

function writePolicy(text: string): void {
  writeFileSync(`${policyFile}.new`, text);
  renameSync(`${policyFile}.new`, policyFile);
}

/** Of both agents; a dead one counts nothing. */
async function sample(): Promise<Sample> {
  const all = scene.agents.filter(({ running }) => running).map(({ pid }) => vitalsOf(pid));
  const vitals = all.filter(({ residentMb }) => Number.isFinite(residentMb));
  return {
    residentMb: vitals.reduce((sum, { residentMb }) => sum + residentMb, 0),
    descriptors: vitals.reduce((sum, { descriptors }) => sum + descriptors, 0),
    live: await scene.metric('transactions_live'),
  };
}

function print(label: string, { residentMb, descriptors, live }: Sample, load: PacedLoad): void {
  const { sent, failures, lostCount, rate } = load.counts();
  const columns = [
    rate.toFixed(0),
    sent,
    failures.length,
    lostCount,
    residentMb.toFixed(0),
    descriptors,
    live,
  ];
  console.log([label, ...columns].map((text) => String(text).padStart(9)).join(' '));
  // What the helpers keep of all this is of no use here, and would fill the memory of the soak itself.
  scene.origin.requests.length = 0;
  datadog?.spans.splice(0);
  for (const log of [scene.haproxy.log, ...scene.agents.map((agent) => agent.log)]) log.lines.splice(0);
}

/** Both agents fresh and idle: what memory is compared with. */
async function idle(): Promise<Sample> {
  await untilZeroLive(scene);
  return await sample();
}

async function untilZeroLive({ metric }: Scene): Promise<void> {
  const deadlineMs = performance.now() + 30_000;
  while ((await metric('transactions_live')) > 0 && performance.now() < deadlineMs) await sleep(200);
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

const complaints: string[] = [];
try {
  console.log(`HAProxy ${binary.version}, two agents, ${values.rate} requests/s, seed ${values.seed}`);
  const titles = ['minute', 'load/s', 'sent', 'failed', 'lost', 'MB', 'fds', 'live'];
  console.log(titles.map((title) => title.padStart(9)).join(' '));
  const load = new PacedLoad(scene.httpPort, Number(values.rate));
  await sleep(calmMs);
  const before = await sample();
  print('begin', before, load);
  const startedMs = performance.now();
  const trouble = makeTrouble(startedMs + minutes * 60_000);
  for (let minute = 1; minute <= minutes; minute += 1) {
    await sleep(startedMs + minute * 60_000 - performance.now());
    print(String(minute), await sample(), load);
  }
  await trouble;
  // The last fault may have been a dead agent a moment ago.
  await sleep(settleMs);
  const lostInTrouble = load.counts().lostCount;
  await sleep(calmMs);
  const after = await sample();
  print('calm', after, load);
  const lostInCalm = load.counts().lostCount - lostInTrouble;
  const { failures, lost } = await load.stop();
  const end = await idle();
  print('idle', end, load);
  console.log('faults:', Object.fromEntries(done), 'lost:', Object.fromEntries(lost));
  if (failures.length > 0)
    complaints.push(`clients saw ${failures.length} errors: ${failures.slice(0, 5).join('; ')}`);
  if (lostInCalm > 0) complaints.push(`${lostInCalm} analyses lost after the last fault`);
  if (end.live > 0) complaints.push(`${end.live} transactions are left`);
  if (after.descriptors > before.descriptors + 40)
    complaints.push(`descriptors: ${before.descriptors}, then ${after.descriptors}`);
  if (after.residentMb > before.residentMb * 1.3)
    complaints.push(`memory: ${before.residentMb} MB, then ${after.residentMb} MB`);
} finally {
  await scene.stop();
  datadog?.stop();
  rmSync(folder, { recursive: true, force: true });
}
for (const complaint of complaints) console.error(complaint);
console.log(complaints.length === 0 ? 'soak: all is where it was' : 'soak: FAILED');
process.exit(complaints.length === 0 ? 0 : 1);
