// One load on the daemon: transactions as HAProxy would send them, in a closed or an open loop.
import type { Ack } from './ack.ts';
import { nowMs } from './clock.ts';
import { transactionsOf } from './http-transactions.ts';
import { LoadCount } from './load-count.ts';
import type { LoadPlan, LoadReport } from './load-plan.ts';
import {
  firstStreamId,
  type PreparedFrame,
  type PreparedTransaction,
  prepare,
  shippedTimeoutMs,
} from './prepared-transaction.ts';
import { Schedule } from './schedule.ts';
import type { SpopLink } from './spop-link.ts';

type Step = 'requestHeaders' | 'requestBody' | 'responseHeaders' | 'responseBody';

/** A transaction under way: one message at a time, each after the answer to the one before. */
interface Stream {
  readonly id: number;
  link: SpopLink;
  transaction: PreparedTransaction;
  unfinished: boolean;
  step: Step;
  frameId: number;
  identity: Buffer | undefined;
  /** When the message under way was sent, or was due. */
  sinceMs: number;
}

interface Waiting {
  readonly stream: Stream;
  readonly frame: PreparedFrame;
}

export class Load {
  readonly #plan: LoadPlan;
  readonly #timeoutMs: number;
  readonly #links: readonly SpopLink[];
  readonly #transactions: readonly PreparedTransaction[];
  readonly #streams: Stream[] = [];
  readonly #idle: Stream[] = [];
  /** By connection: messages for which it had no room. */
  readonly #waiting: Map<SpopLink, Waiting[]>;
  readonly #schedule: Schedule | undefined;
  #count = new LoadCount();
  #begun = 0;
  #stopped = false;
  #rateChangedAtMs = 0;
  #degradedAtMs = 0;

  constructor(plan: LoadPlan, links: readonly SpopLink[]) {
    this.#plan = plan;
    this.#timeoutMs = plan.processingTimeoutMs ?? shippedTimeoutMs;
    this.#links = links;
    this.#transactions = transactionsOf(plan.mix).map((transaction) => prepare(transaction, this.#timeoutMs));
    this.#waiting = new Map(links.map((link) => [link, []]));
    this.#schedule = plan.arrival.kind === 'open' ? new Schedule(plan.arrival.perSecond, nowMs()) : undefined;
    for (const link of links) {
      link.onAck = (ack, atMs) => this.#answered(ack, atMs);
      link.onDrained = () => this.#sendWaiting(link, nowMs());
    }
  }

  get name(): string {
    return this.#plan.name;
  }

  get underWay(): number {
    return this.#streams.length - this.#idle.length;
  }

  /** Not to be called while transactions of before `stop` are under way. */
  start(): void {
    this.#stopped = false;
    const { arrival } = this.#plan;
    for (let stream = 0; arrival.kind === 'closed' && stream < arrival.streams; stream += 1)
      this.#begin(nowMs());
    this.#flush();
  }

  stop(): void {
    this.#stopped = true;
  }

  changeRate(perSecond: number): void {
    this.#rateChangedAtMs = nowMs();
    this.#schedule?.changeRate(perSecond, this.#rateChangedAtMs);
  }

  /** Begins what is due. */
  tick(): void {
    if (this.#schedule === undefined || this.#stopped) return;
    const atMs = nowMs();
    for (const link of this.#links) this.#giveUpWaiting(link, atMs);
    for (let dueMs = this.#schedule.take(atMs); dueMs !== undefined; dueMs = this.#schedule.take(atMs)) {
      this.#count.behindUs.record((atMs - dueMs) * 1000);
      this.#begin(dueMs);
    }
    this.#flush();
  }

  report(): LoadReport {
    const degradedMs = Math.max(0, this.#degradedAtMs - this.#rateChangedAtMs);
    const report = this.#count.report(this.name, degradedMs);
    this.#count = new LoadCount();
    return report;
  }

  /** @param sameLink the connection to use, where only that one is about to be flushed; else they take turns */
  #begin(dueMs: number, sameLink?: SpopLink): void {
    const link = sameLink ?? this.#links[this.#begun % this.#links.length];
    const transaction = this.#transactions[this.#begun % this.#transactions.length];
    if (link === undefined || transaction === undefined) return;
    this.#begun += 1;
    this.#count.begun += 1;
    const stream = this.#idle.pop() ?? this.#newStream(link, transaction);
    stream.link = link;
    stream.transaction = transaction;
    stream.unfinished = this.#plan.halfUnfinished === true && this.#begun % 2 === 0;
    stream.frameId = 0;
    stream.identity = undefined;
    this.#send(stream, 'requestHeaders', transaction.requestHeaders, dueMs);
  }

  #newStream(link: SpopLink, transaction: PreparedTransaction): Stream {
    const id = firstStreamId + this.#streams.length;
    const step = 'requestHeaders';
    const stream = {
      id,
      link,
      transaction,
      unfinished: false,
      step,
      frameId: 0,
      identity: undefined,
      sinceMs: 0,
    } as const;
    this.#streams.push(stream);
    return stream;
  }

  #send(stream: Stream, step: Step, frame: PreparedFrame, sinceMs: number): void {
    stream.step = step;
    stream.frameId += 1;
    stream.sinceMs = sinceMs;
    if (stream.link.full) this.#waiting.get(stream.link)?.push({ stream, frame });
    else stream.link.send(frame.encode(stream.id, stream.frameId, stream.identity));
  }

  #answered(ack: Ack, atMs: number): void {
    const stream = this.#streams[ack.streamId - firstStreamId];
    if (stream === undefined) throw new Error(`an ACK of stream ${ack.streamId}, which was never used`);
    const tookMs = atMs - stream.sinceMs;
    const count = this.#count;
    count.acks += 1;
    count.ackUs.record(tookMs * 1000);
    const isHeaders = stream.step === 'requestHeaders' || stream.step === 'responseHeaders';
    if (isHeaders) count.headerAckUs.record(tookMs * 1000);
    if (ack.failed) count.failed += 1;
    if (ack.skipped) count.skipped += 1;
    const late = tookMs > this.#timeoutMs;
    if (late) count.late += 1;
    if (late || ack.skipped) this.#degradedAtMs = atMs;
    if (ack.identity !== undefined) stream.identity = ack.identity;
    // haproxyconf/ asks no more on HAProxy 2.6 once an answer was lost.
    if (late) this.#end(stream);
    else this.#next(stream, ack, atMs);
  }

  #next(stream: Stream, ack: Ack, atMs: number): void {
    const step = nextStep(stream, ack);
    const frame = step === undefined ? undefined : stream.transaction[step];
    if (step === undefined || frame === undefined) this.#complete(stream);
    else this.#send(stream, step, frame, atMs);
  }

  #complete(stream: Stream): void {
    this.#count.completed += 1;
    this.#end(stream);
  }

  #end(stream: Stream): void {
    this.#idle.push(stream);
    if (this.#plan.arrival.kind === 'closed' && !this.#stopped) this.#begin(nowMs(), stream.link);
  }

  #sendWaiting(link: SpopLink, atMs: number): void {
    this.#giveUpWaiting(link, atMs);
    const waiting = this.#waiting.get(link) ?? [];
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      link.send(next.frame.encode(next.stream.id, next.stream.frameId, next.stream.identity));
    }
  }

  /** HAProxy takes a message back that it could not send in time. They wait in order, but for little differences. */
  #giveUpWaiting(link: SpopLink, atMs: number): void {
    const waiting = this.#waiting.get(link) ?? [];
    let expired = 0;
    while (atMs - (waiting[expired]?.stream.sinceMs ?? atMs) > this.#timeoutMs) expired += 1;
    for (const { stream } of waiting.splice(0, expired)) {
      this.#count.unsent += 1;
      this.#degradedAtMs = atMs;
      this.#end(stream);
    }
  }

  #flush(): void {
    for (const link of this.#links) link.flush();
  }
}

/** The message that haproxyconf/frontend-config.cfg sends after this answer; undefined: none. */
function nextStep({ step, unfinished, transaction }: Stream, ack: Ack): Step | undefined {
  if (ack.blocked || unfinished) return undefined;
  switch (step) {
    case 'requestHeaders':
      return ack.requestBody && transaction.requestBody !== undefined ? 'requestBody' : 'responseHeaders';
    case 'requestBody':
      return 'responseHeaders';
    case 'responseHeaders':
      return ack.responseBody ? 'responseBody' : undefined;
    case 'responseBody':
      return undefined;
  }
}
