import { type Analysis, isBlocking } from '../../engine/analysis.ts';
import type { BlockPages } from '../../engine/block-page.ts';
import type { Application, BodyChunk, HeaderList } from '../../engine/http.ts';
import type { DoorEndReason, Inspector } from '../../engine/inspector.ts';
import type { TransactionView } from '../../engine/transaction-view.ts';
import { isGrpc, natureOfRequestBody, natureOfResponseBody } from './body-plan.ts';
import { BodyState } from './body-state.ts';
import type { Component } from './contract.ts';
import { requestHeadOf, responseHeadOf } from './heads.ts';
import { AnswerFlag } from './jobs.ts';
import { passMetadata, renderBlock } from './rendering.ts';
import type { Envelope, ProtocolConfig } from './wire/envelope.ts';
import { type Direction, directionOf, type MessageKind } from './wire/kinds.ts';
import { type DynamicMetadata, encodeContinue, plainContinue } from './wire/processing-response.ts';
import type { FlatStruct } from './wire/struct.ts';

/** What the engine side of the door needs for every stream. */
export interface StreamServices {
  readonly inspector: Inspector;
  readonly pages: BlockPages;
  /** The door only reports. */
  readonly reportOnly: boolean;
  readonly clientIpHeader: string | undefined;
  readonly timeToLiveMs: number;
  readonly observer: StreamObserver;
}

/** Must not throw. */
export interface StreamObserver {
  /** A body of a request was asked for, and came or did not: `allow_mode_override` is on or off. */
  bodyAskedFor(came: boolean): void;
  /** Trace headers could not be written. */
  failed(kind: MessageKind, cause: unknown): void;
}

/** What to answer, and what the thread that owns the stream has to know. */
export interface Outcome {
  /** See AnswerFlag. */
  readonly flags: number;
  readonly message: Buffer | undefined;
}

/** What is known of the stream from its metadata and its first message. */
export interface StreamIdentity {
  readonly application: Application;
  readonly component: Component;
  /** Envoy takes no answers. */
  readonly observes: boolean;
  readonly protocolConfig: ProtocolConfig | undefined;
}

/**
 * One stream of Envoy, which is one HTTP transaction, at the engine. One method for each kind of message; each says what
 * to answer. Every message may be missing: what its transaction does not know is adopted by the engine.
 */
export class TransactionStream {
  readonly #services: StreamServices;
  readonly #identity: StreamIdentity;
  readonly #bodies: Readonly<Record<Direction, BodyState>>;
  #transaction: TransactionView | undefined;
  #isGrpc = false;
  /** Trace headers have left for the origin. */
  #traced = false;
  /** The texts that Envoy has already. */
  #told = '';

  constructor(services: StreamServices, identity: StreamIdentity) {
    this.#services = services;
    this.#identity = identity;
    const { protocolConfig } = identity;
    this.#bodies = {
      request: new BodyState(protocolConfig?.requestBodyMode),
      response: new BodyState(protocolConfig?.responseBodyMode),
    };
  }

  requestHeaders(received: HeaderList, attributes: FlatStruct, { endOfStream }: Envelope): Outcome {
    const { application, component } = this.#identity;
    const { clientIpHeader, inspector, timeToLiveMs } = this.#services;
    const surroundings = { attributes, application, component, endOfStream, clientIpHeader };
    this.#bodies.request.describe(received, natureOfRequestBody(received));
    this.#isGrpc = isGrpc(received);
    const analysis = inspector.requestHeaders(requestHeadOf(received, surroundings), timeToLiveMs);
    return this.#concludeHeaders('request', analysis, endOfStream);
  }

  /** What came of the request's body is all that will come once its response is there. */
  responseHeaders(received: HeaderList, { endOfStream }: Envelope): Outcome | Promise<Outcome> {
    const { request } = this.#bodies;
    if (request.awaited) this.#services.observer.bodyAskedFor(false);
    request.awaited = false;
    const last = request.close(this.#identity.application);
    if (last === undefined) return this.#responseHeaders(received, endOfStream);
    return then(
      this.#inspectBody('request', last),
      (analysis) => this.#blockOf(analysis) ?? this.#responseHeaders(received, endOfStream),
    );
  }

  body(kind: 'request-body' | 'response-body', bytes: Buffer, end: boolean): Outcome | Promise<Outcome> {
    const direction = directionOf(kind);
    const body = this.#bodies[direction];
    if (kind === 'request-body' && body.awaited) this.#services.observer.bodyAskedFor(true);
    if (body.isComplete && bytes.length === 0) return this.#letGo(direction, plainContinue(kind));
    const chunk = body.take(bytes, end, this.#identity.application);
    const mayFollow = !end && body.isComplete && kind === 'request-body';
    return then(this.#inspectBody(direction, chunk), (analysis) => {
      const outcome = this.#concludeBody(kind, analysis);
      // Nothing should follow what the length announced; what does is looked at.
      return mayFollow ? { ...outcome, flags: outcome.flags | AnswerFlag.wantsBody } : outcome;
    });
  }

  /** The body before them is over, though no piece of it said so. */
  trailers(kind: 'request-trailers' | 'response-trailers'): Outcome | Promise<Outcome> {
    const direction = directionOf(kind);
    const last = this.#bodies[direction].close(this.#identity.application);
    if (last !== undefined)
      return then(this.#inspectBody(direction, last), (analysis) => this.#concludeBody(kind, analysis));
    return this.#letGo(direction, plainContinue(kind));
  }

  /** A message was answered without the engine. Nothing follows the response's. */
  skipped(kind: MessageKind): void {
    const last = kind === 'response-headers' || kind === 'response-body';
    if (this.#transaction !== undefined) this.#services.inspector.skipped(this.#transaction.id, last);
  }

  failed(): void {
    if (this.#transaction !== undefined) this.#services.inspector.failed(this.#transaction.id);
  }

  end(reason: DoorEndReason): void {
    if (this.#transaction !== undefined) this.#services.inspector.end(this.#transaction.id, reason);
  }

  /** Lets a message go on of which there is no verdict. */
  unseen(kind: MessageKind): Outcome {
    const direction = directionOf(kind);
    this.#bodies[direction].giveUp();
    return this.#letGo(direction, plainContinue(this.#owed(kind)));
  }

  #responseHeaders(received: HeaderList, endOfStream: boolean): Outcome {
    const { inspector, timeToLiveMs } = this.#services;
    const { request, response } = this.#bodies;
    response.describe(received, natureOfResponseBody(received, request.isOpaque));
    const head = responseHeadOf(received, this.#identity.application);
    const analysis = inspector.responseHeaders(this.#transaction?.id, head, timeToLiveMs);
    return this.#concludeHeaders('response', analysis, endOfStream);
  }

  #concludeHeaders(direction: Direction, analysis: Analysis, endOfStream: boolean): Outcome {
    const kind: MessageKind = `${direction}-headers`;
    if (analysis.kind === 'uninspected') return this.#done(plainContinue(kind));
    const blocked = this.#blockOf(analysis);
    if (blocked !== undefined) return blocked;
    const { application, observes } = this.#identity;
    const body = this.#bodies[direction];
    const wanted = analysis.wantsBody && !endOfStream;
    const blocks = !application.reportOnly && !this.#services.reportOnly;
    const plan = observes ? body.expectUnasked(wanted) : body.expect(wanted, blocks);
    if (plan.expected && body.isDuplex)
      return { flags: AnswerFlag.wantsBody | AnswerFlag.hold, message: undefined };
    const message = this.#continue(kind, plan.expected ? undefined : analysis, plan.override);
    return plan.expected ? { flags: AnswerFlag.wantsBody, message } : this.#letGo(direction, message);
  }

  #concludeBody(kind: MessageKind, analysis: Analysis): Outcome {
    if (analysis.kind === 'uninspected') return this.unseen(kind);
    const blocked = this.#blockOf(analysis);
    if (blocked !== undefined) return blocked;
    const direction = directionOf(kind);
    const body = this.#bodies[direction];
    if (analysis.wantsBody && body.isDuplex)
      return { flags: AnswerFlag.wantsBody | AnswerFlag.hold, message: undefined };
    if (analysis.wantsBody) return { flags: AnswerFlag.wantsBody, message: plainContinue(kind) };
    body.giveUp();
    return this.#letGo(direction, this.#continue(this.#owed(kind), analysis, undefined));
  }

  /** While bodies are held, the answer that is owed is the one to the headers. */
  #owed(kind: MessageKind): MessageKind {
    const direction = directionOf(kind);
    return this.#bodies[direction].isDuplex ? `${direction}-headers` : kind;
  }

  /** @param analysis when it is over for now, and Envoy can be told how it went */
  #continue(kind: MessageKind, analysis: Analysis | undefined, override: number | undefined): Buffer {
    const isRequest = directionOf(kind) === 'request';
    const mode = isRequest ? { requestBodyMode: override } : { responseBodyMode: override };
    return encodeContinue(kind, {
      setHeaders: isRequest ? this.#traceHeaders(kind) : [],
      modeOverride: override === undefined ? undefined : mode,
      dynamicMetadata: analysis === undefined ? undefined : this.#news(analysis),
    });
  }

  /** Envoy keeps what it was told. */
  #news(analysis: Analysis): DynamicMetadata | undefined {
    if (analysis.kind !== 'inspected') return undefined;
    const metadata = passMetadata(analysis);
    const texts = JSON.stringify(metadata.texts);
    if (texts === this.#told) return undefined;
    this.#told = texts;
    return metadata;
  }

  /** On the first answer that they can still leave with. A verdict must not be lost over headers for the origin. */
  #traceHeaders(kind: MessageKind): HeaderList {
    const isInTime = kind === 'request-headers' || this.#bodies.request.isHeld;
    if (this.#traced || !isInTime || this.#transaction === undefined) return [];
    try {
      const headers = this.#transaction.propagation();
      this.#traced = headers.length > 0;
      return headers;
    } catch (cause) {
      this.#services.observer.failed(kind, cause);
      return [];
    }
  }

  #blockOf(analysis: Analysis): Outcome | undefined {
    if (analysis.kind === 'uninspected') return undefined;
    const { transaction } = analysis;
    this.#transaction = transaction;
    if (analysis.kind !== 'inspected' || !isBlocking(analysis.verdict)) return undefined;
    return {
      flags: AnswerFlag.immediate | AnswerFlag.done,
      message: renderBlock(analysis.verdict, transaction, this.#services.pages, this.#isGrpc),
    };
  }

  #inspectBody(direction: Direction, chunk: BodyChunk): Analysis | Promise<Analysis> {
    const { inspector, timeToLiveMs } = this.#services;
    const id = this.#transaction?.id;
    return direction === 'request'
      ? inspector.requestBody(id, chunk, timeToLiveMs)
      : inspector.responseBody(id, chunk, timeToLiveMs);
  }

  /** After the response nothing is wanted any more; after the request its response is. */
  #letGo(direction: Direction, message: Buffer): Outcome {
    return direction === 'response' ? this.#done(message) : { flags: 0, message };
  }

  /** What the engine might still wait for will not be sent. */
  #done(message: Buffer): Outcome {
    this.end('complete');
    return { flags: AnswerFlag.done, message };
  }
}

function then<T, R>(value: T | Promise<T>, use: (value: T) => R | Promise<R>): R | Promise<R> {
  return value instanceof Promise ? value.then(use) : use(value);
}
