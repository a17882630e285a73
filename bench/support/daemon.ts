// The built daemon as the benchmark starts it, and its own figures.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from '../../test/e2e/support/free-port.ts';
import { dieTogether } from '../../test/support/child-processes.ts';
import { nowMs, sleep } from './clock.ts';

const mainFile = join(import.meta.dirname, '..', '..', 'dist', 'main.js');
const readyTimeoutMs = 30_000;

export interface DaemonPlan {
  /** Undefined: as the daemon does when nobody says. */
  readonly engineThreads?: number;
  readonly tracing: boolean;
  /** Unfinished transactions to keep; undefined: as many as the daemon does when nobody says. */
  readonly maxTransactions?: number;
}

export class BenchDaemon {
  readonly port: number;
  readonly #healthPort: number;
  readonly #logFile: string;
  readonly #process: ChildProcess;

  private constructor(plan: DaemonPlan, port: number, healthPort: number, agentPort: number) {
    this.port = port;
    this.#healthPort = healthPort;
    this.#logFile = join(tmpdir(), `appsec-edge-bench-${process.pid}-${port}.log`);
    const log = openSync(this.#logFile, 'w');
    this.#process = dieTogether(
      spawn(process.execPath, [mainFile], {
        env: { ...environmentWithoutOurs(), ...settings(plan, port, healthPort, agentPort) },
        stdio: ['ignore', log, log],
      }),
    );
    closeSync(log);
  }

  /** Resolves when it is ready. @throws with its log when it does not become so. */
  static async start(plan: DaemonPlan): Promise<BenchDaemon> {
    // Nobody listens on the third: the Datadog Agent is not in reach.
    const daemon = new BenchDaemon(plan, await freePort(), await freePort(), await freePort());
    const deadlineMs = nowMs() + readyTimeoutMs;
    while (!(await daemon.#ready())) {
      if (daemon.#process.exitCode === null && nowMs() < deadlineMs) {
        await sleep(20);
        continue;
      }
      const log = readFileSync(daemon.#logFile, 'utf8');
      await daemon.stop();
      throw new Error(`the daemon did not become ready (npm run build?)\n${log}`);
    }
    return daemon;
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** libddwaf's own time since the start, in milliseconds, and how often it ran. */
  async waf(): Promise<{ readonly ms: number; readonly runs: number }> {
    const text = await (await fetch(`http://127.0.0.1:${this.#healthPort}/metrics`)).text();
    return {
      ms: metric(text, 'appsec_edge_waf_seconds_sum') * 1000,
      runs: metric(text, 'appsec_edge_waf_seconds_count'),
    };
  }

  /** @param name with its prefix; all its series are added up */
  async metric(name: string): Promise<number> {
    return metric(await (await fetch(`http://127.0.0.1:${this.#healthPort}/metrics`)).text(), name);
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      const gone = once(this.#process, 'exit');
      this.#process.kill('SIGKILL');
      await gone;
    }
    rmSync(this.#logFile, { force: true });
  }

  async #ready(): Promise<boolean> {
    try {
      return (await fetch(`http://127.0.0.1:${this.#healthPort}/ready`)).ok;
    } catch {
      return false;
    }
  }
}

/** Whether this build has engine threads at all: one that has not ignores the setting. */
export async function knowsEngineThreads(): Promise<boolean> {
  const { stdout } = await promisify(execFile)(process.execPath, [mainFile, '--help']);
  return stdout.includes('--engine-threads');
}

function settings(
  plan: DaemonPlan,
  port: number,
  healthPort: number,
  agentPort: number,
): Record<string, string> {
  return {
    DD_HAPROXY_SPOA_HOST: '127.0.0.1',
    DD_HAPROXY_SPOA_PORT: String(port),
    APPSEC_EDGE_HEALTHCHECK_PORT: String(healthPort),
    APPSEC_EDGE_LOG_FORMAT: 'json',
    DD_APPSEC_BODY_PARSING_SIZE_LIMIT: '10000000',
    DD_TRACE_ENABLED: String(plan.tracing),
    DD_TRACE_AGENT_URL: `http://127.0.0.1:${agentPort}`,
    ...optional('APPSEC_EDGE_ENGINE_THREADS', plan.engineThreads),
    ...optional('APPSEC_EDGE_MAX_TRANSACTIONS', plan.maxTransactions),
  };
}

function optional(variable: string, value: number | undefined): Record<string, string> {
  return value === undefined ? {} : { [variable]: String(value) };
}

/** Settings of the machine must not change what is measured. */
function environmentWithoutOurs(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('DD_')));
}

function metric(text: string, name: string): number {
  const series = text.split('\n').filter((line) => /^[^#{ ]+/.exec(line)?.[0] === name);
  return series.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
}
