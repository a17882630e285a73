/**
 * What is fuzzed: a gRPC server in a process of its own, and what an honest client may expect of it. `startBareTarget` is
 * our server with a method that answers every message with itself; a door is another target.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import type { NetConnectOpts } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { CallTrouble } from '../../src/grpc/index.ts';
import { Finding } from '../session.ts';

/** A message, and whether an answer is the one to it. */
export interface Exchange {
  readonly message: Buffer;
  isAnswer(answer: Buffer): boolean;
}

export interface GrpcTarget {
  readonly address: NetConnectOpts;
  readonly path: string;
  /** The largest message taken. */
  readonly maxMessageBytes: number;
  /** A stream that ends well is one of these, message for message, each with one answer; chosen by `seed`. */
  conversation(seed: number): readonly Exchange[];
  /** What a call ends with that its client half-closes after a conversation. */
  readonly statusAtEnd: number;
  statusOf(trouble: CallTrouble): number;
  /** @throws Finding when the process is gone, or has said that something of its own is wrong */
  check(): Promise<void>;
  state(): Promise<TargetState>;
  stop(): void;
}

export interface TargetState {
  readonly connections: number;
  readonly calls: number;
  /** Of messages in part. */
  readonly heldBytes: number;
  readonly residentMegabytes: number;
}

const mainFile = fileURLToPath(new URL('./bare-main.ts', import.meta.url));

/** What `bare-main.ts` is asked for, and what it says. */
export type BareAnswer =
  | { readonly port: number }
  | { readonly failed: string }
  | { readonly state: TargetState };

export const barePath = '/fuzz.Echo/Talk';
export const bareMaxMessageBytes = 1_000_000;
export const bareHelloTimeoutMs = 2_000;

export async function startBareTarget(): Promise<GrpcTarget> {
  const child = fork(mainFile, [], { stdio: ['ignore', 'inherit', 'pipe', 'ipc'] });
  const target = new BareTarget(child);
  const [{ port }] = (await once(child, 'message')) as [{ port: number }];
  target.address = { port, host: '127.0.0.1' };
  return target;
}

class BareTarget implements GrpcTarget {
  address: NetConnectOpts = { port: 0 };
  readonly path = barePath;
  readonly maxMessageBytes = bareMaxMessageBytes;
  readonly statusAtEnd = 0;
  readonly #child: ChildProcess;
  #wrong: string | undefined;
  #said = '';

  constructor(child: ChildProcess) {
    this.#child = child;
    child.stderr?.on('data', (chunk: Buffer) => {
      this.#said += chunk.toString();
    });
    child.on('message', (answer: BareAnswer) => {
      if ('failed' in answer) this.#wrong ??= answer.failed;
    });
  }

  conversation(seed: number): readonly Exchange[] {
    const sizes = [0, 1, 700, 1_500, 20_000, 200_000];
    return Array.from({ length: 1 + (seed % 4) }, (_, index) => {
      const message = Buffer.alloc(sizes[(seed + index) % sizes.length] ?? 0, `${seed} ${index} `);
      return { message, isAnswer: (answer) => answer.equals(message) };
    });
  }

  statusOf(trouble: CallTrouble): number {
    return { compressed: 12, malformed: 13, failed: 2, silent: 4 }[trouble as string] ?? 8;
  }

  async check(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) {
      throw new Finding(`the process ended: ${this.#said.slice(-4_000)}`);
    }
    if (this.#wrong !== undefined) throw new Finding(this.#wrong);
  }

  async state(): Promise<TargetState> {
    await this.check();
    return new Promise((resolve, reject) => {
      const gone = (): void => reject(new Finding(`the process ended: ${this.#said.slice(-4_000)}`));
      this.#child.once('exit', gone);
      const heard = (answer: BareAnswer): void => {
        if (!('state' in answer)) return;
        this.#child.off('message', heard);
        this.#child.off('exit', gone);
        resolve(answer.state);
      };
      this.#child.on('message', heard);
      this.#child.send('state');
    });
  }

  stop(): void {
    this.#child.kill('SIGKILL');
  }
}
