/** Plays one session against the daemon and holds all that comes back against what is right. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { encodeHaproxyDisconnect, FrameSplitter } from '../src/spop/index.ts';
import { type AgentFrame, decodeAgentFrame } from '../test/support/spop-client.ts';
import { drip } from './drip.ts';
import { type Expectation, expectationOf, type Outcome } from './oracle.ts';
import { Finding, type Session } from './session.ts';
import type { Tally } from './tally.ts';
import { helloTimeoutMs, longestTimeToLiveMs, type Target } from './target.ts';

/** For an answer, on a machine that does other things besides. Larger than the linger of a closed connection (2 s). */
const patienceMs = 20_000;

/** After its goodbye the daemon waits so long for our end (src/adapters/haproxy/connection-drain.ts); then it resets. */
const lingerMs = 2_000;

/** @throws Finding */
export async function play(session: Session, target: Target, tally: Tally): Promise<void> {
  const bytes = Buffer.concat(session.chunks);
  const expected = expectationOf(bytes, target.maxFrameSizeBytes);
  // A mutation can turn two seconds into two hours, and the store could not be seen to become empty.
  if (expected.longestTimeToLiveMs > longestTimeToLiveMs) return;
  if (expected.uploads > 0 && !target.uploads.allowed) return;
  target.uploads.sent += expected.uploads;
  if (session.wrongStatus !== undefined && !expected.outcomes.has(`status ${session.wrongStatus}`)) {
    throw new Finding(
      `src/spop expects ${[...expected.outcomes]}, docs/spop.md status ${session.wrongStatus}`,
    );
  }
  const peer = await Listener.connect(target.port, expected);
  try {
    await drip(peer.socket, session.chunks);
    peer.sentAll();
    await end(session, expected, peer);
    if (peer.wrong !== undefined) throw peer.wrong;
  } finally {
    peer.socket.destroy();
    tally.sessions += 1;
    tally.bytes += bytes.length;
    tally.frames += [...expected.notifies.values()].reduce((sum, count) => sum + count, 0);
    tally.acks += peer.acks;
  }
}

async function end(session: Session, expected: Expectation, peer: Listener): Promise<void> {
  if (session.ending === 'reset') {
    peer.socket.resetAndDestroy();
    return;
  }
  if (session.ending === 'fin') {
    peer.socket.end();
    await peer.until('the end after FIN', () => peer.over);
    return;
  }
  if (!expected.outcomes.has('open')) {
    await peer.until(`an end with ${[...expected.outcomes]}`, () => peer.over);
    // Who stands still for so long, as this process may among thousands of connections, writes into a reset and never
    // reads the goodbye that came before it.
    if (peer.outcome === 'open' && peer.lastedMs >= lingerMs) return;
    // Likewise, its HELLO may have come too late.
    if (peer.outcome === 'status 2' && peer.sendingMs >= helloTimeoutMs) return;
    if (!expected.outcomes.has(peer.outcome)) {
      throw new Finding(`ended as ${peer.outcome}, expected ${[...expected.outcomes]}`);
    }
    return;
  }
  const mayEnd = expected.outcomes.size > 1;
  await peer.until('all ACKs', () => peer.owed === 0 || (mayEnd && peer.over));
  if (peer.over) return;
  if (!expected.complete || expected.maxFrameSize === 0 || session.ending === 'cut') peer.socket.end();
  else peer.socket.write(encodeHaproxyDisconnect(0, 'bye'));
  await peer.until('the end after a goodbye', () => peer.over);
  if (session.ending === 'wait' && expected.complete && expected.maxFrameSize > 0 && !mayEnd) {
    // As above, for who stood still.
    if (peer.outcome === 'open' && peer.lastedMs >= lingerMs) return;
    if (peer.outcome !== 'status 0') throw new Finding(`ended as ${peer.outcome} after a goodbye`);
  }
}

/** HAProxy's ears: every frame of the daemon is checked as it comes. */
class Listener {
  readonly socket: Socket;
  readonly #expected: Expectation;
  readonly #splitter = new FrameSplitter(2 ** 32);
  readonly #due: Map<string, number>;
  readonly #owed: Set<string>;
  acks = 0;
  over = false;
  /** From the connection to its end. */
  lastedMs = 0;
  /** From the connection until all bytes had been handed to the socket. */
  sendingMs = 0;
  outcome: Outcome = 'open';
  wrong: Finding | undefined;
  #greeted = false;
  readonly #startedMs = performance.now();
  #wake: () => void = () => undefined;

  private constructor(socket: Socket, expected: Expectation) {
    this.socket = socket;
    this.#expected = expected;
    this.#due = new Map(expected.notifies);
    this.#owed = new Set(expected.owed);
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    // A reset is our own doing, or the end of a linger: 'close' follows.
    socket.on('error', () => undefined);
    socket.on('close', () => this.#finish());
  }

  static async connect(port: number, expected: Expectation): Promise<Listener> {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true });
    await once(socket, 'connect');
    return new Listener(socket, expected);
  }

  sentAll(): void {
    this.sendingMs = performance.now() - this.#startedMs;
  }

  /** ACKs that are still to come. */
  get owed(): number {
    return this.#owed.size;
  }

  async until(what: string, isSo: () => boolean): Promise<void> {
    const deadline = performance.now() + patienceMs;
    while (!isSo()) {
      if (this.wrong !== undefined) throw this.wrong;
      const leftMs = deadline - performance.now();
      if (leftMs <= 0 || this.over) throw new Finding(`${this.#state()}; ${what} did not come`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  #state(): string {
    return `${this.over ? `over as ${this.outcome}` : 'open'}, ${this.acks} ACKs, ${this.owed} owed`;
  }

  #receive(chunk: Buffer): void {
    try {
      this.#splitter.push(chunk);
      for (let bytes = this.#splitter.next(); bytes !== undefined; bytes = this.#splitter.next()) {
        this.#check(decodeAgentFrame(bytes), bytes.length);
      }
    } catch (error) {
      this.wrong ??= error instanceof Finding ? error : new Finding(`no frame of an agent: ${error}`);
    }
    this.#wake();
  }

  #check(frame: AgentFrame, size: number): void {
    if (this.outcome !== 'open') throw new Finding(`${frame.kind} after AGENT-DISCONNECT`);
    if (frame.kind === 'agent-disconnect') {
      if (size > 255) throw new Finding(`AGENT-DISCONNECT of ${size} bytes`);
      this.outcome = `status ${frame.disconnect.status}`;
    } else if (frame.kind === 'agent-hello') {
      if (this.#greeted) throw new Finding('a second AGENT-HELLO');
      this.#greeted = true;
    } else this.#checkAck(frame);
  }

  #checkAck(frame: Extract<AgentFrame, { kind: 'ack' }>): void {
    const key = `${frame.streamId}/${frame.frameId}`;
    const due = this.#due.get(key) ?? 0;
    if (!this.#greeted) throw new Finding('ACK before AGENT-HELLO');
    if (due === 0) throw new Finding(`ACK ${key} that is not due`);
    if (frame.actions.length === 0) throw new Finding(`empty ACK ${key}`);
    if (frame.size > this.#expected.maxFrameSize) {
      throw new Finding(`ACK ${key} of ${frame.size} bytes, agreed on ${this.#expected.maxFrameSize}`);
    }
    const names = frame.actions.map(({ name }) => name);
    if (!names.includes('request_body') || !names.includes('response_body')) {
      throw new Finding(`ACK ${key} without request_body and response_body: ${names}`);
    }
    const verdict = frame.actions.find(({ name }) => name === 'verdict');
    if (verdict?.kind === 'set-var' && String(verdict.value.value) === 'error') {
      throw new Finding(`ACK ${key} with verdict error`);
    }
    this.#due.set(key, due - 1);
    this.#owed.delete(key);
    this.acks += 1;
  }

  #finish(): void {
    this.over = true;
    this.lastedMs = performance.now() - this.#startedMs;
    if (this.outcome === 'open' && this.#greeted && this.#expected.outcomes.has('healthcheck')) {
      this.outcome = 'healthcheck';
    }
    this.#wake();
  }
}
