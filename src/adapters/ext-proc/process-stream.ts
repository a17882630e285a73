import type { CallEnd, GrpcCall, GrpcCallHandler } from '../../grpc/index.ts';
import { GrpcStatus } from '../../grpc/index.ts';
import type { Dispatched } from '../../workers/dispatcher.ts';
import { passedOf, type SkipReason } from './contract.ts';
import { workOf } from './estimates.ts';
import { AnswerFlag, encodeJob, encodeNotice } from './jobs.ts';
import { AwaitedBody } from './observed-bodies.ts';
import { type Arrival, StreamDirection } from './stream-direction.ts';
import type { OpenStream, StreamHost } from './stream-host.ts';
import { type ProtocolConfig, readEnvelope } from './wire/envelope.ts';
import { directionOf } from './wire/kinds.ts';
import { encodeMessageTimeout } from './wire/processing-response.ts';

/** A share of Envoy's patience, of which a part goes to the way there and back and to the analysis itself. */
const waitShare = 0.4;

/** Nobody waits for an answer: a message may wait so long for its analysis. */
const observedPatienceMs = 10_000;

/** Messages of one stream that wait, in bytes: beyond it the stream is not read. */
const maxWaitingBytes = 256 * 1024;

/** Bodies larger than this may take longer than Envoy's patience. */
const largeBodyBytes = 64 * 1024;

/** An answer may be as large as an operator's block page. */
const maxAnswerBytes = 0x7fff_ffff;

/**
 * One stream in the thread that owns the sockets. It reads of a message only what it is and where it ends; the engine
 * that got the first message gets all of them, one at a time, in order. Whatever happens, Envoy gets an answer or the end
 * of the stream with status OK, after which it goes on without us. It never gets an error.
 */
export class ProcessStream implements GrpcCallHandler, OpenStream {
  readonly #call: GrpcCall;
  readonly #host: StreamHost;
  readonly #number: number;
  readonly #directions: { readonly request: StreamDirection; readonly response: StreamDirection };
  readonly #awaited: AwaitedBody;
  readonly #waiting: Arrival[] = [];
  #waitingBytes = 0;
  #current: Arrival | undefined;
  #thread: number | undefined;
  /** The engine knows what the stream was opened with. */
  #introduced = false;
  #protocolConfig: ProtocolConfig | undefined;
  #observes = false;
  #begun = false;
  /** The engine has forgotten the stream. */
  #forgotten = false;
  #halfClosed = false;
  #finished = false;
  #closed = false;
  #working = false;
  #paused = false;

  constructor(call: GrpcCall, host: StreamHost) {
    this.#call = call;
    this.#host = host;
    this.#directions = {
      request: new StreamDirection('request', host.memory),
      response: new StreamDirection('response', host.memory),
    };
    this.#awaited = new AwaitedBody(host.observedBodies, call.peerAddress ?? '');
    this.#number = host.opened(this);
  }

  message(bytes: Buffer): void {
    if (this.#finished) return;
    const envelope = readEnvelope(bytes);
    const { kind } = envelope;
    if (kind === undefined) {
      this.#host.observer.unknownMessage();
      this.#finish();
      return;
    }
    if (!this.#begun) this.#begin(envelope.protocolConfig);
    this.#observes ||= envelope.observability;
    this.#waiting.push({ kind, envelope, bytes, receivedAtMs: this.#host.readTime.turnStartedAtMs() });
    this.#waitingBytes += bytes.length;
    this.#work();
  }

  halfClosed(): void {
    this.#halfClosed = true;
    this.#work();
  }

  closed(how: CallEnd): void {
    this.#closed = true;
    if (how === 'too-large') this.#host.observer.skipped('too-large');
    const byUs = this.#finished;
    this.#drop();
    this.#host.closed(this);
    if (this.#thread === undefined || this.#forgotten) return;
    const isAnswered = this.#directions.response.headersSeen;
    const gone = this.#halfClosed && !isAnswered ? 'no-response' : 'aborted';
    const reason = byUs && isAnswered ? 'complete' : gone;
    this.#tell(encodeNotice({ kind: 'ended', stream: this.#number, reason }));
  }

  letGo(): void {
    if (this.#finished) return;
    const current = this.#current;
    if (current !== undefined) this.#letThrough(current, 'overload');
    this.#finish();
  }

  #begin(protocolConfig: ProtocolConfig | undefined): void {
    this.#begun = true;
    this.#protocolConfig = protocolConfig;
    this.#directions.request.configure(protocolConfig?.requestBodyMode);
    this.#directions.response.configure(protocolConfig?.responseBodyMode);
  }

  /** One message after the other, as long as none is with the engine, which may answer within the call. */
  #work(): void {
    if (this.#working) return;
    this.#working = true;
    while (this.#current === undefined && !this.#finished) {
      const arrival = this.#waiting.shift();
      if (arrival === undefined) {
        if (this.#halfClosed) this.#finish();
        break;
      }
      this.#waitingBytes -= arrival.bytes.length;
      this.#take(arrival);
    }
    this.#working = false;
    this.#regulate();
  }

  /** Messages that wait are bounded: Envoy goes on when there is room. */
  #regulate(): void {
    const mustWait = this.#waitingBytes > maxWaitingBytes;
    if (mustWait === this.#paused) return;
    this.#paused = mustWait;
    if (mustWait) this.#call.pause();
    else this.#call.resume();
  }

  #take(arrival: Arrival): void {
    if (arrival.kind === 'response-body') this.#awaited.came();
    const direction = this.#directionOf(arrival);
    // A request that comes after its response would be another transaction.
    const isLate = arrival.kind === 'request-headers' && this.#directions.response.isBegun;
    const what = isLate ? 'disorder' : direction.arrive(arrival);
    if (what === 'analyse' && !this.#forgotten) {
      this.#analyse(arrival);
      return;
    }
    if (what === 'disorder') this.#host.observer.disorder(arrival.kind);
    direction.pass(arrival, this.#send);
    if (this.#forgotten) this.#finishUnlessHeld();
  }

  #analyse(arrival: Arrival): void {
    const { engines } = this.#host;
    // The one that has the transaction; where it is gone, another one adopts what follows.
    const thread = engines.engineFor(this.#thread);
    if (thread !== this.#thread) this.#introduced = false;
    this.#thread = thread;
    const job = {
      payload: this.#payloadOf(arrival),
      maxAnswerBytes,
      deadlineMs: this.#deadlineOf(arrival),
      work: workOf(arrival),
    };
    this.#current = arrival;
    engines.dispatch(thread, job, (result) => this.#settle(arrival, result));
  }

  #payloadOf({ bytes }: Arrival): Buffer {
    const metadata = this.#introduced ? [] : passedOf(this.#call.metadata);
    return encodeJob({ stream: this.#number, protocolConfig: this.#protocolConfig, metadata }, bytes);
  }

  /** On the clock of the threads. Of a large body Envoy is told first that it takes longer. */
  #deadlineOf({ kind, bytes, receivedAtMs }: Arrival): number {
    const { messageTimeoutMs, maxMessageTimeoutMs } = this.#host;
    const isBody = kind === 'request-body' || kind === 'response-body';
    let patienceMs = messageTimeoutMs;
    if (this.#observes) patienceMs = observedPatienceMs;
    else if (isBody && bytes.length > largeBodyBytes && maxMessageTimeoutMs !== undefined) {
      patienceMs = maxMessageTimeoutMs;
      this.#send(encodeMessageTimeout(maxMessageTimeoutMs));
    }
    return receivedAtMs + patienceMs * waitShare;
  }

  #settle(arrival: Arrival, result: Dispatched): void {
    if (this.#current !== arrival) return;
    this.#current = undefined;
    if (result.kind === 'done') {
      this.#introduced = true;
      this.#conclude(arrival, result.bytes[0] ?? 0, result.bytes.subarray(1));
    } else this.#letThrough(arrival, result.reason);
    this.#work();
  }

  #conclude(arrival: Arrival, flags: number, answer: Uint8Array): void {
    if ((flags & AnswerFlag.done) !== 0) this.#forgotten = true;
    if ((flags & AnswerFlag.immediate) !== 0) {
      this.#send(answer);
      this.#finish();
      return;
    }
    const direction = this.#directionOf(arrival);
    const wantsBody = (flags & AnswerFlag.wantsBody) !== 0;
    if ((flags & AnswerFlag.hold) !== 0) {
      if (!direction.hold(arrival)) this.#letThrough(arrival, 'overload');
      return;
    }
    direction.answer(arrival, answer, wantsBody, this.#send);
    if (this.#forgotten) this.#letGoOfRest();
    else if (this.#observes && wantsBody && arrival.kind === 'response-headers') this.#waitForBody();
  }

  /** No verdict will come for what is held still, such as an upload that was answered before its end. */
  #letGoOfRest(): void {
    this.#directions.request.release(this.#send);
    this.#finishUnlessHeld();
  }

  /** Nobody says whether it will come. */
  #waitForBody(): void {
    if (this.#waiting.some(({ kind }) => kind === 'response-body')) return;
    if (!this.#awaited.wait(() => this.#finish())) this.#finish();
  }

  /** It goes on without analysis, and the engine is told. After the response nothing more is wanted. */
  #letThrough(arrival: Arrival, reason: SkipReason): void {
    this.#host.observer.skipped(reason);
    this.#tell(encodeNotice({ kind: 'skipped', stream: this.#number, message: arrival.kind }));
    this.#directionOf(arrival).letThrough(arrival, this.#send);
    if (directionOf(arrival.kind) === 'response') this.#finishUnlessHeld();
  }

  #tell(notice: Buffer): void {
    if (this.#thread !== undefined) this.#host.engines.skipped(this.#thread, notice);
  }

  #directionOf({ kind }: Arrival): StreamDirection {
    return this.#directions[directionOf(kind)];
  }

  readonly #send = (message: Uint8Array): void => {
    if (!this.#observes && message.length > 0) this.#call.send(message);
  };

  /** Envoy would lose what it has given away. */
  #finishUnlessHeld(): void {
    const { request, response } = this.#directions;
    const isHeld = request.isUnfinished || response.isUnfinished;
    if (this.#observes || !isHeld) this.#finish();
  }

  #finish(): void {
    if (this.#finished) return;
    this.#drop();
    if (!this.#closed) this.#call.end(GrpcStatus.OK);
  }

  #drop(): void {
    this.#finished = true;
    this.#awaited.cancel();
    this.#current = undefined;
    this.#waiting.length = 0;
    this.#waitingBytes = 0;
    this.#directions.request.drop();
    this.#directions.response.drop();
  }
}
