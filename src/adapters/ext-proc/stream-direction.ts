import type { Buffer } from 'node:buffer';
import { HeldBody, type HeldBytes } from './held-bodies.ts';
import type { Envelope } from './wire/envelope.ts';
import { BodyMode } from './wire/fields.ts';
import type { Direction, MessageKind } from './wire/kinds.ts';
import { plainContinue } from './wire/processing-response.ts';

/** A message that came, and is to be answered. */
export interface Arrival {
  readonly kind: MessageKind;
  readonly envelope: Envelope;
  readonly bytes: Buffer;
  /** On the clock of the threads. */
  readonly receivedAtMs: number;
}

type Send = (message: Uint8Array) => void;

/**
 * The request or the response of one stream, in the thread that owns it: what has come, what is wanted, and how each of
 * its messages is answered once one knows what to say.
 */
export class StreamDirection {
  readonly #direction: Direction;
  readonly #memory: HeldBytes;
  #held: HeldBody | undefined;
  #headersSeen = false;
  #bodySeen = false;
  #ended = false;
  /** The answer to its headers is held back with its body. */
  #owesHeaders = false;
  #holds = false;
  /** What the engine said; undefined before it did. */
  #wantsBody: boolean | undefined;

  constructor(direction: Direction, memory: HeldBytes) {
    this.#direction = direction;
    this.#memory = memory;
  }

  get headersSeen(): boolean {
    return this.#headersSeen;
  }

  /** Something of it has come. */
  get isBegun(): boolean {
    return this.#headersSeen || this.#bodySeen;
  }

  /** Envoy waits for pieces of it to be sent back: the stream must not end. */
  get isUnfinished(): boolean {
    return this.#held !== undefined && this.#headersSeen && !this.#held.finished;
  }

  /** @param mode that Envoy is configured with */
  configure(mode: number | undefined): void {
    if (mode === BodyMode.fullDuplexStreamed)
      this.#held = new HeldBody(`${this.#direction}-body`, this.#memory);
  }

  /**
   * Notes that a message came. `analyse`: the engine is asked. `pass`: nobody looks at it. `disorder`: as `pass`, and Envoy
   * would not send it.
   */
  arrive({ kind, envelope }: Arrival): 'analyse' | 'pass' | 'disorder' {
    switch (kind) {
      case 'request-headers':
      case 'response-headers': {
        if (this.isBegun) return 'disorder';
        this.#headersSeen = true;
        this.#ended = envelope.endOfStream;
        if (envelope.endOfStream) this.#held?.end();
        return 'analyse';
      }
      case 'request-body':
      case 'response-body': {
        if (this.#ended) return 'disorder';
        this.#bodySeen = true;
        this.#ended = envelope.endOfStream;
        return this.#wantsBody === false ? 'pass' : 'analyse';
      }
      default: {
        const isOpen = this.#bodySeen && !this.#ended && this.#wantsBody !== false;
        this.#ended = true;
        return isOpen ? 'analyse' : 'pass';
      }
    }
  }

  /** Nobody looks at this message: it goes on. */
  pass(arrival: Arrival, send: Send): void {
    const { kind, envelope, bytes } = arrival;
    const isBody = kind === 'request-body' || kind === 'response-body';
    if (this.#held !== undefined && isBody) {
      const { start, end } = envelope.body;
      this.#held.pass(bytes.subarray(start, end), envelope.endOfStream, send);
      return;
    }
    if (kind === 'request-trailers' || kind === 'response-trailers') this.#held?.end();
    send(plainContinue(kind));
  }

  /** There is no verdict yet. @returns false when there is no room to hold it. */
  hold({ kind, envelope, bytes }: Arrival): boolean {
    this.#wantsBody = true;
    this.#holds = true;
    if (kind === 'request-headers' || kind === 'response-headers') {
      this.#owesHeaders = true;
      return true;
    }
    const { start, end } = envelope.body;
    return this.#held?.hold(bytes.subarray(start, end), envelope.endOfStream) ?? true;
  }

  /**
   * The engine has looked at it: it goes on, with all that was held before it.
   * @param answer the one to the headers where they are held, else the one to the message
   */
  answer(arrival: Arrival, answer: Uint8Array, wantsBody: boolean, send: Send): void {
    this.#wantsBody = wantsBody;
    const { kind } = arrival;
    if (this.#held === undefined || kind === 'request-headers' || kind === 'response-headers') {
      if (answer.length > 0) send(answer);
      return;
    }
    this.#release(answer, send);
    this.pass(arrival, send);
  }

  /** It goes on unseen, and so does what follows of its body. */
  letThrough(arrival: Arrival, send: Send): void {
    this.release(send);
    this.pass(arrival, send);
  }

  /** What is held goes on unseen, and what follows of it. */
  release(send: Send): void {
    this.#wantsBody = false;
    this.#release(plainContinue(`${this.#direction}-headers`), send);
  }

  drop(): void {
    this.#held?.drop();
  }

  #release(headersAnswer: Uint8Array, send: Send): void {
    if (!this.#holds) return;
    this.#holds = false;
    if (this.#owesHeaders) send(headersAnswer);
    this.#owesHeaders = false;
    this.#held?.release(send);
  }
}
