import { constants, fstatSync, openSync, writeSync } from 'node:fs';

/** Bytes buffered while the reader has stopped or the disk is full. Further lines are dropped and counted. */
const backlogBytes = 1024 * 1024;
const retryMs = 20;
/** For the last lines when the process ends. */
const lastWaitMs = 500;

/**
 * Writes lines to a descriptor that may be blocked for a while: a full disk, a pipe that nobody reads. The process never waits
 * for it. Lines are buffered up to a limit, then dropped; once there is room again, `noteOf` is written in their place.
 */
export class LineOutput {
  readonly #fd: number;
  readonly #noteOf: (lost: number) => string;
  /** The first may be the rest of a line. */
  readonly #backlog: Buffer[] = [];
  #bytes = 0;
  #lost = 0;
  #lostBefore = 0;
  #retry: NodeJS.Timeout | undefined;

  /** @param fd does not block, see `openWithoutBlocking` */
  constructor(fd: number, noteOf: (lost: number) => string) {
    this.#fd = fd;
    this.#noteOf = noteOf;
  }

  /** Lines lost so far. */
  get lost(): number {
    return this.#lostBefore + this.#lost;
  }

  write(line: string): void {
    const bytes = Buffer.from(line);
    // Once a line is lost, later ones are too until all that was kept is out: the note then stands where they would.
    if (this.#lost > 0 || this.#bytes + bytes.length > backlogBytes) this.#lost += 1;
    else this.#push(bytes);
    this.#flush();
    if (this.#backlog.length === 0) return;
    this.#retry ??= setInterval(() => this.#flush(), retryMs).unref();
  }

  /** Waits a little for a slow reader; for when the process ends. */
  finish(): void {
    const deadlineMs = performance.now() + lastWaitMs;
    const sleep = new Int32Array(new SharedArrayBuffer(4));
    while (this.#flush() === 'full' && performance.now() < deadlineMs) Atomics.wait(sleep, 0, 0, 10);
  }

  #push(bytes: Buffer): void {
    this.#backlog.push(bytes);
    this.#bytes += bytes.length;
  }

  #flush(): 'done' | 'full' | 'failing' {
    for (;;) {
      const outcome = this.#writeBacklog();
      if (outcome !== 'done') return outcome;
      if (this.#lost === 0) break;
      this.#push(Buffer.from(this.#noteOf(this.#lost)));
      this.#lostBefore += this.#lost;
      this.#lost = 0;
    }
    clearInterval(this.#retry);
    this.#retry = undefined;
    return 'done';
  }

  #writeBacklog(): 'done' | 'full' | 'failing' {
    for (let first = this.#backlog[0]; first !== undefined; first = this.#backlog[0]) {
      let written: number;
      try {
        written = writeSync(this.#fd, first);
      } catch (cause) {
        return cause instanceof Error && 'code' in cause && cause.code === 'EAGAIN' ? 'full' : 'failing';
      }
      this.#bytes -= written;
      if (written === first.length) this.#backlog.shift();
      else this.#backlog[0] = first.subarray(written);
    }
    return 'done';
  }
}

/**
 * Standard output as a descriptor whose writes do not block where they could for long: in pipes and sockets. A pipe is
 * opened a second time, for the mode belongs to whoever shares the first; of a socket Node sets the mode itself.
 */
export function openWithoutBlocking(): number {
  const kind = fstatSync(1);
  if (kind.isSocket()) void process.stdout;
  if (!kind.isFIFO()) return 1;
  try {
    return openSync('/proc/self/fd/1', constants.O_WRONLY | constants.O_NONBLOCK);
  } catch {
    // No /proc, or no reader: as it is.
    return 1;
  }
}
