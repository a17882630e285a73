// The built daemon (dist/main.js) as an operator runs it: configured by its environment, watched through its health
// port and its JSON log. It keeps its ports when it is started again, so that HAProxy finds it where it was.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { dieTogether } from '../../support/child-processes.ts';
import { freePort } from './free-port.ts';
import { LineLog } from './line-log.ts';
import { patienceMs, patientTimeouts } from './patience.ts';

const repository = join(import.meta.dirname, '..', '..', '..');
const mainFile = join(repository, 'dist', 'main.js');

/** One set of small rules for all tests: see the ids in it for what they match and do. */
export const testRules = join(repository, 'test', 'fixtures', 'rules', 'e2e.json');

export interface DaemonOptions {
  /** Wins over the settings of the tests; an empty value is one that is not set. */
  readonly env?: Record<string, string>;
  readonly flags?: readonly string[];
  /** A command that takes the daemon's as its last arguments and becomes it (exec): limits, another output. */
  readonly wrapper?: readonly string[];
}

/** A security event as the log has it; the parts that tests look at. */
export interface SecurityEvent {
  readonly phase: string;
  readonly verdict: string;
  /** The application or the mode only reports. */
  readonly would_block?: boolean;
  readonly rules: readonly {
    readonly id: string;
    readonly matches: readonly { readonly address: string; readonly key_path?: readonly string[] }[];
  }[];
  readonly client?: string;
  readonly method?: string;
  readonly host?: string;
  readonly path?: string;
  readonly status?: number;
  readonly trace_id: string;
  readonly span_id: string;
  readonly security_response_id?: string;
  readonly msg: string;
}

export class Daemon {
  readonly port: number;
  readonly healthPort: number;
  /** All output of all its lives. */
  readonly log = new LineLog();
  readonly #options: DaemonOptions;
  #process: ChildProcess | undefined;

  constructor(options: DaemonOptions, port: number, healthPort: number) {
    this.#options = options;
    this.port = port;
    this.healthPort = healthPort;
  }

  /** Of the life that began last. */
  get pid(): number {
    const pid = this.#process?.pid;
    if (pid === undefined) throw new Error('the daemon was not started');
    return pid;
  }

  get running(): boolean {
    const child = this.#process;
    return child !== undefined && child.exitCode === null && child.signalCode === null;
  }

  /**
   * Resolves when `/ready` says so.
   * @throws when it ends instead, or takes longer than a minute, with all that it said.
   */
  async start(): Promise<void> {
    if (!existsSync(mainFile)) throw new Error(`${mainFile} does not exist: run "npm run build" first`);
    const wrapper = this.#options.wrapper ?? [];
    const command = [...wrapper, process.execPath, mainFile, ...(this.#options.flags ?? [])];
    const child = dieTogether(
      spawn(command[0] ?? '', command.slice(1), {
        env: { ...environmentWithoutOurs(), ...this.#settings(), ...this.#options.env },
        stdio: ['ignore', 'pipe', 'pipe'],
      }),
    );
    this.#process = child;
    this.log.readFrom(child.stdout);
    this.log.readFrom(child.stderr);
    const deadline = performance.now() + patienceMs;
    while ((await this.health('/ready')).status !== 200) {
      if (!this.running || performance.now() > deadline) {
        await this.stop('SIGKILL');
        throw new Error(`the daemon did not become ready\n${this.report()}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Sends a signal without waiting for what comes of it. */
  signal(signal: NodeJS.Signals): void {
    this.#process?.kill(signal);
  }

  /** Resolves with the exit code once it is gone, null when a signal ended it. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    if (this.#process !== undefined && this.running) {
      const gone = once(this.#process, 'exit');
      this.#process.kill(signal);
      await gone;
    }
    return this.#process?.exitCode ?? null;
  }

  /** The first security event, past or future, whose path contains `mark`. */
  async securityEvent(mark: string): Promise<SecurityEvent> {
    const literally = mark.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
    const line = await this.log.waitFor(new RegExp(`"event":"security".*"path":"[^"]*${literally}`));
    return JSON.parse(line) as SecurityEvent;
  }

  /** The security events so far whose path contains `mark`. */
  securityEvents(mark: string): SecurityEvent[] {
    const lines = this.log.lines.filter((line) => line.includes('"event":"security"'));
    return lines.map((line) => JSON.parse(line) as SecurityEvent).filter(({ path }) => path?.includes(mark));
  }

  /**
   * The sum of all series of one metric that carry these labels; 0 when there is none.
   * @param name without the prefix `appsec_edge_`
   */
  async metric(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
    return metricIn((await this.health('/metrics')).body, name, labels);
  }

  /** One page of its health server; status 0 when it does not answer. */
  health(path: string): Promise<{ status: number; body: string }> {
    return new Promise((resolve) => {
      const call = get({ host: '127.0.0.1', port: this.healthPort, path, agent: false }, (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (text: string) => {
          body += text;
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
        response.on('error', () => resolve({ status: 0, body }));
      });
      call.once('error', () => resolve({ status: 0, body: '' }));
    });
  }

  /** All output, for a failure message. */
  report(): string {
    return this.log.lines.join('\n');
  }

  #settings(): Record<string, string> {
    return {
      ...{ DD_HAPROXY_SPOA_HOST: '127.0.0.1', DD_HAPROXY_SPOA_PORT: String(this.port) },
      ...{ APPSEC_EDGE_HEALTHCHECK_PORT: String(this.healthPort), APPSEC_EDGE_LOG_FORMAT: 'json' },
      ...{ APPSEC_EDGE_SHUTDOWN_GRACE: '0', DD_TRACE_ENABLED: 'false' },
      // Each takes a third of a second of CPU time to start. Tests about several threads ask for them.
      APPSEC_EDGE_ENGINE_THREADS: '1',
      ...{ DD_APPSEC_RULES: testRules, DD_APPSEC_BODY_PARSING_SIZE_LIMIT: '10000000' },
      // Tests look for each event, and the machine may be busy with other things.
      ...{ DD_APPSEC_TRACE_RATE_LIMIT: '100000', DD_APPSEC_WAF_TIMEOUT: '2s' },
      // Of HAProxies that do not say theirs.
      DD_HAPROXY_SPOA_PROCESSING_TIMEOUT: patientTimeouts.DD_SPOA_PROCESSING_TIMEOUT,
    };
  }
}

/** @param page of `/metrics`; see `Daemon.metric` for the others. */
export function metricIn(page: string, name: string, labels: Readonly<Record<string, string>>): number {
  const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
  const series = page.split('\n').filter((line) => /^[^#{ ]+/.exec(line)?.[0] === `appsec_edge_${name}`);
  const matching = series.filter((line) => wanted.every((label) => line.includes(label)));
  return matching.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
}

/** A running daemon on ports of its own, with the rules of the tests and body inspection on. */
export async function startDaemon(options: DaemonOptions = {}): Promise<Daemon> {
  const daemon = new Daemon(options, await freePort(), await freePort());
  await daemon.start();
  return daemon;
}

/** Settings of the machine must not change what a test sees. */
function environmentWithoutOurs(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('DD_')));
}
