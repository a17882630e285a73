import type { DoorEndReason } from '../../engine/inspector.ts';
import { sharedNowMs } from '../../workers/channel.ts';
import type { HandedJob, JobHandler } from '../../workers/jobs.ts';
import { applicationOf, type ComponentRules, componentOf } from './applications.ts';
import { attributesFilter } from './contract.ts';
import { AnswerFlag, decodeJob, decodeNotice, encodeAnswer, type StreamJob } from './jobs.ts';
import { type Outcome, type StreamServices, TransactionStream } from './transaction-stream.ts';
import { type Envelope, readEnvelope } from './wire/envelope.ts';
import { decodeHeaders } from './wire/headers.ts';
import type { MessageKind } from './wire/kinds.ts';
import { plainContinue } from './wire/processing-response.ts';
import { readAttributes, readMetadata } from './wire/struct.ts';

/** What the handler tells about its work. Must not throw. */
export interface HandlerObserver {
  message(kind: MessageKind): void;
  /** Contained: the message is answered all the same. */
  failed(kind: MessageKind, cause: unknown): void;
  /** A message was cut off or otherwise malformed, and looked at as far as it went. */
  malformed(kind: MessageKind, cause: Error): void;
  /** It came too late to be begun. */
  late(): void;
  bodyAskedFor(came: boolean): void;
}

export interface HandlerOptions extends Omit<StreamServices, 'observer'>, ComponentRules {
  readonly serviceFromRoute: boolean;
  /** Streams known at a time: beyond it the oldest is forgotten, and what follows of it is adopted. */
  readonly maxStreams: number;
}

/** The engine side of the door: messages of streams to calls of the engine, its verdicts to answers for Envoy. */
export class ProcessHandler implements JobHandler {
  readonly #options: HandlerOptions;
  readonly #observer: HandlerObserver;
  readonly #services: StreamServices;
  /** By number, oldest first. */
  readonly #streams = new Map<number, TransactionStream>();

  constructor(options: HandlerOptions, observer: HandlerObserver) {
    this.#options = options;
    this.#observer = observer;
    this.#services = { ...options, observer };
  }

  /** Streams under way, each of which is one. */
  get liveTransactions(): number {
    return this.#streams.size;
  }

  handle({ payload, deadlineMs }: HandedJob, answer: (bytes: Uint8Array) => void): void {
    const job = decodeJob(payload);
    const envelope = readEnvelope(job.message);
    const kind = envelope.kind ?? 'request-headers';
    const conclude = (outcome: Outcome): void => {
      if ((outcome.flags & AnswerFlag.done) !== 0) this.#streams.delete(job.stream);
      answer(encodeAnswer(outcome.flags, outcome.message));
    };
    if (sharedNowMs() > deadlineMs) {
      this.#observer.late();
      conclude(this.#late(job.stream, kind));
      return;
    }
    const failed = (cause: unknown): void => {
      this.#observer.failed(kind, cause);
      conclude(this.#unseen(job.stream, kind, 'failed'));
    };
    try {
      const outcome = this.#process(job, envelope, kind);
      if (outcome instanceof Promise) outcome.then(conclude, failed);
      else conclude(outcome);
    } catch (cause) {
      failed(cause);
    }
  }

  skipped(payload: Buffer): void {
    const notice = decodeNotice(payload);
    const stream = this.#streams.get(notice.stream);
    if (notice.kind === 'skipped') stream?.skipped(notice.message);
    else this.#forget(notice.stream, notice.reason);
  }

  workOnBacklog(): boolean {
    return this.#options.inspector.workOnBacklog();
  }

  #process(job: StreamJob, envelope: Envelope, kind: MessageKind): Outcome | Promise<Outcome> {
    this.#observer.message(kind);
    if (envelope.problem !== undefined) this.#observer.malformed(kind, envelope.problem);
    const stream = this.#streams.get(job.stream) ?? this.#begin(job, envelope);
    const { message } = job;
    switch (kind) {
      case 'request-headers':
      case 'response-headers': {
        const { headers, problem } = decodeHeaders(message, envelope);
        if (problem !== undefined && envelope.problem === undefined) this.#observer.malformed(kind, problem);
        if (kind === 'response-headers') return stream.responseHeaders(headers, envelope);
        const attributes = readAttributes(message, envelope.attributes).get(attributesFilter);
        return stream.requestHeaders(headers, attributes ?? new Map(), envelope);
      }
      case 'request-body':
      case 'response-body': {
        // A copy: it may be decompressed while the payload is used again.
        const bytes = Buffer.from(message.subarray(envelope.body.start, envelope.body.end));
        return stream.body(kind, bytes, envelope.endOfStream);
      }
      default:
        return stream.trailers(kind);
    }
  }

  #begin(job: StreamJob, envelope: Envelope): TransactionStream {
    const { metadata, message, protocolConfig } = job;
    const component = componentOf(metadata, this.#options);
    const attributes = readAttributes(message, envelope.attributes).get(attributesFilter) ?? new Map();
    const context = readMetadata(message, envelope.metadataContext);
    const observes = envelope.observability;
    const { serviceFromRoute } = this.#options;
    const application = applicationOf(
      { metadata, context, attributes },
      component,
      serviceFromRoute,
      observes,
    );
    const stream = new TransactionStream(this.#services, {
      ...{ application, component, observes, protocolConfig },
    });
    this.#streams.set(job.stream, stream);
    if (this.#streams.size > this.#options.maxStreams) {
      const [oldest] = this.#streams.keys();
      if (oldest !== undefined) this.#forget(oldest, 'aborted');
    }
    return stream;
  }

  #forget(number: number, reason: DoorEndReason): void {
    const stream = this.#streams.get(number);
    this.#streams.delete(number);
    stream?.end(reason);
  }

  #late(number: number, kind: MessageKind): Outcome {
    return this.#unseen(number, kind, 'skipped');
  }

  #unseen(number: number, kind: MessageKind, why: 'skipped' | 'failed'): Outcome {
    const stream = this.#streams.get(number);
    if (stream === undefined) return { flags: 0, message: plainContinue(kind) };
    if (why === 'failed') stream.failed();
    else stream.skipped(kind);
    return stream.unseen(kind);
  }
}
