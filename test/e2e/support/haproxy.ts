// A real HAProxy process for one test: configuration in, running proxy out, everything removed by stop().
// Its configuration and output are shown when it does not start; a test that fails later prints them with
// `report()`.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { accepts } from '../../../tools/accepts.ts';
import { dieTogether } from '../../support/child-processes.ts';
import { LineLog } from './line-log.ts';
import { patienceMs } from './patience.ts';

export interface HaproxyOptions {
  readonly binary: string;
  /** The whole configuration. An admin socket is added to it; log lines are caught with `log stdout`. */
  readonly config: string;
  /** A TCP port of 127.0.0.1 that listens once HAProxy is ready. */
  readonly readyPort: number;
  /** Added to the environment of the process, for the variables that the shipped files read. */
  readonly env?: Record<string, string>;
}

/** What `haproxy -c` said: `output` is empty, or one line saying "valid", when there was no warning. */
export interface ConfigCheck {
  readonly ok: boolean;
  readonly output: string;
}

export class RunningHaproxy {
  /** HAProxy's own log lines (stdout) and its complaints (stderr). */
  readonly log = new LineLog();
  readonly #folder: string;
  readonly #config: string;
  readonly #process: ChildProcess;

  constructor(options: HaproxyOptions) {
    this.#folder = mkdtempSync(join(tmpdir(), 'appsec-edge-haproxy-'));
    this.#config = `global\n    stats socket ${this.#socketPath} mode 600 level admin\n${options.config}`;
    const file = join(this.#folder, 'haproxy.cfg');
    writeFileSync(file, this.#config);
    this.#process = dieTogether(
      spawn(options.binary, ['-db', '-f', file], {
        env: { ...process.env, ...options.env },
        stdio: ['ignore', 'pipe', 'pipe'],
      }),
    );
    this.log.readFrom(this.#process.stdout);
    this.log.readFrom(this.#process.stderr);
    // In the log, where a failing test prints it among what went before.
    this.#process.once('exit', (code, signal) =>
      this.log.add(`(HAProxy ended: ${signal ?? `exit ${code}`})`),
    );
  }

  get pid(): number {
    const { pid } = this.#process;
    if (pid === undefined) throw new Error('HAProxy was not started');
    return pid;
  }

  get exited(): boolean {
    return this.#process.exitCode !== null || this.#process.signalCode !== null;
  }

  /** One command on the admin socket ("show stat", "set server …"), and the whole answer. */
  async command(line: string): Promise<string> {
    const socket = connect(this.#socketPath);
    let answer = '';
    socket.setEncoding('utf8').on('data', (text: string) => {
      answer += text;
    });
    socket.end(`${line}\n`);
    await once(socket, 'close');
    return answer.trim();
  }

  /** The configuration and all output so far, for a failure message. */
  report(): string {
    const numbered = this.#config.split('\n').map((line, index) => `${index + 1}\t${line}`);
    return [...numbered, '--- output', ...this.log.lines].join('\n');
  }

  async stop(): Promise<void> {
    if (!this.exited) {
      const gone = once(this.#process, 'exit');
      this.#process.kill('SIGTERM');
      await gone;
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }

  get #socketPath(): string {
    return join(this.#folder, 'admin.sock');
  }
}

/**
 * Starts HAProxy and resolves once it accepts connections.
 * @throws when it ends instead, or does not listen within a minute, with configuration and output.
 */
export async function startHaproxy(options: HaproxyOptions): Promise<RunningHaproxy> {
  const haproxy = new RunningHaproxy(options);
  const deadline = performance.now() + patienceMs;
  while (!(await accepts(options.readyPort))) {
    if (haproxy.exited || performance.now() > deadline) {
      const report = haproxy.report();
      await haproxy.stop();
      throw new Error(`HAProxy does not listen on ${options.readyPort}\n${report}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return haproxy;
}

/** `haproxy -c`: what an operator runs before a reload. A warning counts as a failure (-dW). */
export function checkConfig(options: Omit<HaproxyOptions, 'readyPort'>): ConfigCheck {
  const { config, ...rest } = options;
  return checkConfigFiles({ ...rest, files: [{ name: 'haproxy.cfg', text: config }] });
}

/** The same for several files, loaded in their order. */
export function checkConfigFiles(
  options: Omit<HaproxyOptions, 'readyPort' | 'config'> & {
    readonly files: readonly { readonly name: string; readonly text: string }[];
  },
): ConfigCheck {
  const folder = mkdtempSync(join(tmpdir(), 'appsec-edge-haproxy-'));
  try {
    const names = options.files.flatMap(({ name, text }) => {
      const file = join(folder, name);
      writeFileSync(file, text);
      return ['-f', file];
    });
    const env = { ...process.env, ...options.env };
    const { status, stdout, stderr } = spawnSync(options.binary, ['-c', '-dW', ...names], { env });
    return { ok: status === 0, output: `${stdout}${stderr}`.trim() };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
