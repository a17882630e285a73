// A real Envoy process for one test: configuration in, running proxy out, everything removed by stop(). Its
// configuration and output are shown when it does not start; a test that fails later prints them with `report()`.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, inject, it } from 'vitest';
import type { EnvoyBinary } from '../../../tools/envoy-binaries.ts';
import { dieTogether } from '../../support/child-processes.ts';
import type { ConfigCheck } from './haproxy.ts';
import { LineLog } from './line-log.ts';

export type FoundEnvoy = Extract<EnvoyBinary, { kind: 'found' }>;

/** Any message of Envoy's configuration, as JSON has it. */
export type EnvoyMessage = Readonly<Record<string, unknown>>;

export interface EnvoyOptions {
  readonly binary: string;
  /** A whole static configuration, with `admin`: see `envoyConfig`. JSON is YAML, so a text of YAML will do, too. */
  readonly config: EnvoyMessage | string;
  /** The port of `admin` in the configuration. */
  readonly adminPort: number;
  /** Worker threads, each with connections of its own to the processor; 1 unless a test is about several. */
  readonly concurrency?: number;
  /** Envoy's own log; its errors are always shown. */
  readonly logLevel?: 'error' | 'warning' | 'info' | 'debug';
}

const startTimeoutMs = 30_000;
/** As operators run it, but for shared memory (two instances would share it) and the wait for access logs (10 s). */
const flags = ['--disable-hot-restart', '--file-flush-interval-msec', '100'];

export class RunningEnvoy {
  /** Access log (stdout) and Envoy's own log (stderr). */
  readonly log = new LineLog();
  readonly adminPort: number;
  readonly #folder: string;
  readonly #config: string;
  readonly #process: ChildProcess;

  constructor({ binary, config, adminPort, concurrency = 1, logLevel = 'error' }: EnvoyOptions) {
    this.adminPort = adminPort;
    this.#folder = mkdtempSync(join(tmpdir(), 'appsec-edge-envoy-'));
    this.#config = configText(config);
    const file = join(this.#folder, 'envoy.yaml');
    writeFileSync(file, this.#config);
    const how = ['-c', file, '--concurrency', String(concurrency), '-l', logLevel, ...flags];
    this.#process = dieTogether(spawn(binary, how, { stdio: ['ignore', 'pipe', 'pipe'] }));
    this.log.readFrom(this.#process.stdout);
    this.log.readFrom(this.#process.stderr);
    // In the log, where a failing test prints it among what went before.
    this.#process.once('exit', (code, signal) => this.log.add(`(Envoy ended: ${signal ?? `exit ${code}`})`));
  }

  get pid(): number {
    const { pid } = this.#process;
    if (pid === undefined) throw new Error('Envoy was not started');
    return pid;
  }

  get exited(): boolean {
    return this.#process.exitCode !== null || this.#process.signalCode !== null;
  }

  /** A page of the admin server, `/stats?filter=ext_proc` for instance; status 0 when it does not answer. */
  admin(path: string): Promise<{ status: number; body: string }> {
    return new Promise((resolve) => {
      const call = get({ host: '127.0.0.1', port: this.adminPort, path, agent: false }, (response) => {
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

  /** One counter or gauge by its whole name, 0 when Envoy has none of this name (yet). */
  async stat(name: string): Promise<number> {
    const { body } = await this.admin(`/stats?filter=^${name.replaceAll('.', '\\.')}$`);
    return Number(/: (\d+)/.exec(body)?.[1] ?? 0);
  }

  /** One line of the access log, past or future, for a request whose path contains `mark`. */
  async access(mark: string): Promise<AccessLine> {
    const literally = mark.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
    const line = await this.log.waitFor(new RegExp(`^\\{.*"path":"[^"]*${literally}`));
    return JSON.parse(line) as AccessLine;
  }

  /** The configuration and all output so far, for a failure message. */
  report(): string {
    return [this.#config, '--- output', ...this.log.lines].join('\n');
  }

  async stop(): Promise<void> {
    if (!this.exited) {
      const gone = once(this.#process, 'exit');
      // Envoy has nothing to lose here, and takes up to 5 s for a polite end with streams open.
      this.#process.kill('SIGKILL');
      await gone;
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** The access log of `envoyConfig`; what Envoy has no value for is null. */
export interface AccessLine {
  readonly method: string | null;
  readonly path: string | null;
  readonly status: number;
  /** %RESPONSE_CODE_DETAILS% */
  readonly details: string | null;
  /** %RESPONSE_FLAGS% */
  readonly flags: string | null;
  readonly upstream: string | null;
  /** %DYNAMIC_METADATA(namespace)% */
  readonly metadata: Readonly<Record<string, unknown>> | null;
}

/**
 * Starts Envoy and resolves once `/ready` says so.
 * @throws when it ends instead, or is not ready within 30 seconds, with configuration and output.
 */
export async function startEnvoy(options: EnvoyOptions): Promise<RunningEnvoy> {
  const envoy = new RunningEnvoy(options);
  const deadline = Date.now() + startTimeoutMs;
  while ((await envoy.admin('/ready')).status !== 200) {
    if (envoy.exited || Date.now() > deadline) {
      const report = envoy.report();
      await envoy.stop();
      throw new Error(`Envoy is not ready\n${report}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return envoy;
}

/** `envoy --mode validate`: refuses unknown fields, warns of deprecated ones. A warning counts as a failure. */
export function validateConfig(binary: string, config: EnvoyMessage | string): ConfigCheck {
  const folder = mkdtempSync(join(tmpdir(), 'appsec-edge-envoy-'));
  try {
    const file = join(folder, 'envoy.yaml');
    writeFileSync(file, configText(config));
    const how = ['--mode', 'validate', '-c', file, '-l', 'warning'];
    const { status, stdout, stderr } = spawnSync(binary, how, { encoding: 'utf8' });
    const complaints = stderr.split('\n').filter((line) => /\[(warning|error|critical)\]/.test(line));
    return { ok: status === 0 && complaints.length === 0, output: `${stdout}${stderr}`.trim() };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function configText(config: EnvoyMessage | string): string {
  return typeof config === 'string' ? config : JSON.stringify(config, undefined, 2);
}

/** `describe` once per Envoy version; a version that is not to be had is a skipped test with the reason. */
export function describeEachEnvoy(title: string, body: (binary: FoundEnvoy) => void): void {
  for (const binary of inject('envoyBinaries')) describeWith(title, binary, body);
}

/** `describe` with one Envoy, the newest there is: for long lists about what the processor does. */
export function describeOneEnvoy(title: string, body: (binary: FoundEnvoy) => void): void {
  const binaries = inject('envoyBinaries');
  const chosen = binaries.findLast(({ kind }) => kind === 'found') ?? binaries.at(-1);
  if (chosen !== undefined) describeWith(title, chosen, body);
}

function describeWith(title: string, binary: EnvoyBinary, body: (binary: FoundEnvoy) => void): void {
  describe(`${title}, Envoy ${binary.version}`, () => {
    if (binary.kind === 'found') body(binary);
    else it('is not tested here', (context) => context.skip(binary.reason));
  });
}
