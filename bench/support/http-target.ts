// One server under an open HTTP load: kept-alive connections, one request at a time on each.
import { connect, type Socket } from 'node:net';
import { nowMs } from './clock.ts';
import { Histogram } from './histogram.ts';

export interface HttpPlan {
  readonly name: string;
  readonly port: number;
  readonly method: string;
  readonly target: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body?: string;
}

export class HttpTarget {
  readonly name: string;
  latencyUs = new Histogram();
  failures = 0;
  /** Answers that HAProxy gave without an answer of the agent: see `lostAnswerHeader`. */
  unanalysed = 0;
  readonly #port: number;
  readonly #request: Buffer;
  readonly #idle: Socket[] = [];
  /** When the requests were due that have no connection yet. */
  readonly #due: number[] = [];

  constructor(plan: HttpPlan) {
    this.name = plan.name;
    this.#port = plan.port;
    const lines = plan.headers.map(([name, value]) => `${name}: ${value}\r\n`).join('');
    this.#request = Buffer.from(
      `${plan.method} ${plan.target} HTTP/1.1\r\n${lines}\r\n${plan.body ?? ''}`,
      'latin1',
    );
  }

  open(connections: number): void {
    for (let connection = 0; connection < connections; connection += 1) this.#connect();
  }

  request(dueMs: number): void {
    this.#due.push(dueMs);
    this.#sendNext();
  }

  #sendNext(): void {
    if (this.#due.length === 0) return;
    const socket = this.#idle.pop();
    const dueMs = socket === undefined ? undefined : this.#due.shift();
    if (socket === undefined || dueMs === undefined) return;
    let answer = '';
    socket.once('close', () => {
      this.failures += 1;
    });
    socket.on('data', (chunk: Buffer) => {
      answer += chunk.toString('latin1');
      if (!isWhole(answer)) return;
      socket.removeAllListeners();
      if (answer.includes(lostAnswerHeader)) this.unanalysed += 1;
      if (answer.startsWith('HTTP/1.1 200')) this.latencyUs.record((nowMs() - dueMs) * 1000);
      else this.failures += 1;
      this.#offer(socket);
    });
    socket.write(this.#request);
  }

  #connect(): void {
    const socket = connect({ host: '127.0.0.1', port: this.#port, noDelay: true });
    socket.once('connect', () => this.#offer(socket));
  }

  #offer(socket: Socket): void {
    socket.on('error', () => socket.destroy());
    socket.once('close', () => {
      const at = this.#idle.indexOf(socket);
      if (at !== -1) this.#idle.splice(at, 1);
      this.#connect();
    });
    this.#idle.push(socket);
    this.#sendNext();
  }
}

/** HAProxy sets it, for this benchmark, when it had to go on without the agent. */
export const lostAnswerHeader = 'x-spoe-error';

/** Every answer has a Content-Length. */
function isWhole(answer: string): boolean {
  const headersEnd = answer.indexOf('\r\n\r\n');
  if (headersEnd === -1) return false;
  const length = /\r\ncontent-length: *(\d+)/i.exec(answer.slice(0, headersEnd))?.[1];
  return answer.length >= headersEnd + 4 + Number(length ?? 0);
}
