// HAProxy, the daemon and a Datadog Agent: what of a request arrives in the Agent.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { FakeAgent, type ReceivedSpan } from '../../support/fake-agent.ts';
import { withProcessors } from '../../support/processor-rules.ts';
import { type Daemon, startDaemon, testRules } from './daemon.ts';
import { DaemonView, Shared } from './daemon-view.ts';
import { fetchOnce } from './http-client.ts';
import { patienceMs } from './patience.ts';
import { type ProtectedPlan, type ProtectedProxy, startProtectedProxy } from './protected-proxy.ts';
import type { FoundHaproxy } from './stubbed-proxy.ts';
import { browser } from './whole-span.ts';

export interface TracedProxy extends ProtectedProxy {
  readonly agent: FakeAgent;
  /** The one span of a resource, which may still be on its way. */
  span(resource: string): Promise<ReceivedSpan>;
}

export interface TracedPlan extends Omit<ProtectedPlan, 'daemon'> {
  /** Of the daemon. */
  readonly daemonEnv?: Record<string, string>;
  /** Nobody else may have talked to the daemon. */
  readonly ownDaemon?: boolean;
}

/** A daemon and the Agent that its spans go to. */
interface TracedDaemon {
  readonly daemon: Daemon;
  readonly agent: FakeAgent;
  readonly folder: string;
  settled: boolean;
}

const daemons = new Map<string, Shared<TracedDaemon>>();

function tracedDaemon(env: Record<string, string> = {}, ownDaemon = false): Shared<TracedDaemon> {
  const key = JSON.stringify(env);
  const known = ownDaemon ? undefined : daemons.get(key);
  const shared = known ?? new Shared(() => startTracedDaemon(env), stopTracedDaemon);
  if (!ownDaemon) daemons.set(key, shared);
  return shared;
}

/**
 * One for all tests of the surrounding `describe`: the rules of the tests with the processors of Datadog's. Daemon and
 * Agent are shared with other describes of the file, whose spans are gone.
 */
export function shareTracedProxy(binary: FoundHaproxy, plan: TracedPlan = {}): () => TracedProxy {
  const { daemonEnv, ownDaemon, ...proxyPlan } = plan;
  const shared = tracedDaemon(daemonEnv, ownDaemon);
  let proxy: TracedProxy | undefined;
  beforeAll(async () => {
    proxy = await startTracedProxy(binary, proxyPlan, await shared.get());
  });
  afterAll(() => proxy?.stop());
  return () => {
    if (proxy === undefined) throw new Error('asked for before the tests of this describe began');
    return proxy;
  };
}

/** The same with APM on, and without the samples of API Security. */
export function shareProxyWithApm(
  binary: FoundHaproxy,
  daemonEnv: Record<string, string> = {},
  plan: TracedPlan = {},
): () => TracedProxy {
  const apm = { DD_APM_TRACING_ENABLED: 'true', DD_API_SECURITY_ENABLED: 'false' };
  return shareTracedProxy(binary, { ...plan, daemonEnv: { ...apm, ...daemonEnv } });
}

async function startTracedDaemon(daemonEnv: Record<string, string>): Promise<TracedDaemon> {
  const folder = mkdtempSync(join(tmpdir(), 'appsec-edge-rules-'));
  const rules = join(folder, 'rules.json');
  writeFileSync(rules, JSON.stringify(withProcessors(JSON.parse(readFileSync(testRules, 'utf8')))));
  const agent = await FakeAgent.start();
  const env = {
    ...{ DD_TRACE_ENABLED: 'true', DD_AGENT_HOST: '127.0.0.1', DD_TRACE_AGENT_PORT: String(agent.port) },
    ...{ DD_APPSEC_RULES: rules, DD_SERVICE: 'edge', DD_ENV: 'e2e', DD_VERSION: '7' },
    // dd-trace sends every two seconds otherwise: the tests ask for spans one by one.
    DD_TRACE_FLUSH_INTERVAL: '50',
    // Tags of the checkout that the tests happen to run in.
    DD_TRACE_GIT_METADATA_ENABLED: 'false',
    ...{ DD_INSTRUMENTATION_TELEMETRY_ENABLED: 'false', DD_REMOTE_CONFIGURATION_ENABLED: 'false' },
    ...daemonEnv,
  };
  return { daemon: await startDaemon({ env }), agent, folder, settled: false };
}

async function stopTracedDaemon({ daemon, agent, folder }: TracedDaemon): Promise<void> {
  await daemon.stop('SIGKILL');
  agent.stop();
  rmSync(folder, { recursive: true, force: true });
}

async function startTracedProxy(
  binary: FoundHaproxy,
  plan: Omit<ProtectedPlan, 'daemon'>,
  traced: TracedDaemon,
): Promise<TracedProxy> {
  const { agent } = traced;
  agent.spans.length = 0;
  agent.bodies.length = 0;
  const proxy = await startProtectedProxy(binary, { ...plan, daemon: await DaemonView.of(traced.daemon) });
  const span = async (resource: string): Promise<ReceivedSpan> => {
    const deadline = performance.now() + patienceMs;
    while (!agent.spans.some((other) => other.resource === resource) && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return agent.spanOf(resource);
  };
  if (!traced.settled) await settle(proxy.httpPort, span);
  traced.settled = true;
  return { ...proxy, agent, span };
}

/**
 * The first span after a start tells more than the others, and with APM off the next one is the sign of life of its
 * minute. Both are made here, so that a test sees what its own traffic leaves; `GET /first` and `GET /heartbeat`.
 */
async function settle(httpPort: number, span: TracedProxy['span']): Promise<void> {
  for (const target of ['/first', '/heartbeat']) {
    await fetchOnce(httpPort, { target, headers: browser });
    await span(`GET ${target}`);
  }
}

/** The ids of the rules in `_dd.appsec.json`. */
export function ruleIdsOf(span: ReceivedSpan): string[] {
  const { triggers } = JSON.parse(span.meta['_dd.appsec.json'] ?? '{"triggers":[]}') as {
    triggers: { rule: { id: string } }[];
  };
  return triggers.map(({ rule }) => rule.id);
}
