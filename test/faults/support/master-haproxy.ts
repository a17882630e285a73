// HAProxy as operators run it: a master that starts another worker at a reload. And the older way, a new process that
// takes over from the old one (-sf). No vitest: the soak uses it too.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { accepts } from '../../../tools/accepts.ts';
import { LineLog } from '../../e2e/support/line-log.ts';
import { dieTogether } from '../../support/child-processes.ts';

export interface MasterHaproxyOptions {
  readonly binary: string;
  readonly config: string;
  readonly readyPort: number;
  readonly env: Readonly<Record<string, string>>;
  /** A master and its workers, or one process alone. */
  readonly kind: 'master' | 'single';
}

const readyTimeoutMs = 10_000;

export class MasterHaproxy {
  readonly log = new LineLog();
  readonly #options: MasterHaproxyOptions;
  readonly #folder = mkdtempSync(join(tmpdir(), 'appsec-edge-haproxy-'));
  readonly #processes = new Set<ChildProcess>();
  #current: ChildProcess | undefined;

  constructor(options: MasterHaproxyOptions) {
    this.#options = options;
    writeFileSync(
      this.#file,
      `global\n    stats socket ${this.#socketPath} mode 600 level admin expose-fd listeners\n${options.config}`,
    );
  }

  async start(): Promise<void> {
    const mode = this.#options.kind === 'master' ? ['-W'] : [];
    this.#current = this.#spawn([...mode, '-db', '-f', this.#file]);
    await this.#ready();
  }

  /** SIGUSR2 to the master. Resolves when the new worker is there; the old one ends when its last client goes. */
  async reload(): Promise<void> {
    const before = await this.#workerPid();
    this.#current?.kill('SIGUSR2');
    await this.#until(async () => (await this.#workerPid()) !== before);
  }

  /** A new process that gets the listening sockets of the old one and tells it to finish. Resolves when it serves. */
  async takeOver(): Promise<void> {
    const old = this.#current;
    const before = await this.#workerPid();
    this.#current = this.#spawn(['-db', '-f', this.#file, '-x', this.#socketPath, '-sf', String(old?.pid)]);
    await this.#until(async () => (await this.#workerPid()) !== before);
  }

  /** The hard way: everything ends, then it is started again. */
  async restart(): Promise<void> {
    await this.#endAll();
    await this.start();
  }

  async command(line: string): Promise<string> {
    const socket = connect(this.#socketPath);
    let answer = '';
    socket.setEncoding('utf8').on('data', (text: string) => {
      answer += text;
    });
    socket.on('error', () => socket.destroy());
    socket.on('connect', () => socket.write(`${line}\n`));
    await once(socket, 'close');
    return answer.trim();
  }

  async stop(): Promise<void> {
    await this.#endAll();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  get #file(): string {
    return join(this.#folder, 'haproxy.cfg');
  }

  get #socketPath(): string {
    return join(this.#folder, 'admin.sock');
  }

  #spawn(flags: readonly string[]): ChildProcess {
    const child = dieTogether(
      spawn(this.#program(), flags, {
        env: { ...process.env, ...this.#options.env },
        stdio: ['ignore', 'pipe', 'pipe'],
      }),
    );
    this.log.readFrom(child.stdout);
    this.log.readFrom(child.stderr);
    this.#processes.add(child);
    child.once('exit', () => this.#processes.delete(child));
    return child;
  }

  /**
   * A master starts itself anew under the name it was called by. The unpacked binaries are called through a script that
   * names their C library: their own name has to be the script's.
   */
  #program(): string {
    const { binary } = this.#options;
    const script = binary.includes('/') ? readFileSync(binary) : Buffer.of();
    if (!script.subarray(0, 2).equals(Buffer.from('#!'))) return binary;
    const file = join(this.#folder, 'haproxy');
    const text = script
      .toString()
      .replace(/^here=.*$/m, `here='${dirname(binary)}'`)
      .replace('--library-path', '--argv0 "$0" --library-path');
    writeFileSync(file, text, { mode: 0o755 });
    return file;
  }

  async #endAll(): Promise<void> {
    const gone = [...this.#processes].map((child) => once(child, 'exit'));
    for (const child of this.#processes) child.kill('SIGTERM');
    await Promise.all(gone);
  }

  #ready(): Promise<void> {
    return this.#until(
      async () => (await this.#workerPid()) !== '' && (await accepts(this.#options.readyPort)),
    );
  }

  async #workerPid(): Promise<string> {
    return /^Pid: (\d+)$/m.exec(await this.command('show info').catch(() => ''))?.[1] ?? '';
  }

  async #until(condition: () => Promise<boolean>): Promise<void> {
    const deadlineMs = performance.now() + readyTimeoutMs;
    while (!(await condition())) {
      if (performance.now() > deadlineMs)
        throw new Error(`HAProxy is not there\n${this.log.lines.join('\n')}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}
