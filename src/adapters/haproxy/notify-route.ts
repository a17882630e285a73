import { MessageCursor, SpopError, type TypedData, typedText } from '../../spop/index.ts';
import type { Work } from '../../workers/work-estimates.ts';
import { argumentNames, messageNames } from './contract.ts';
import { parseHaproxyTime } from './haproxy-time.ts';

/** What the I/O thread wants to know of a NOTIFY before an engine sees it. */
export interface NotifyRoute {
  /** Of the first message; empty when there is none. */
  readonly messageName: string;
  /** The first identity in it, as text. */
  readonly identity: string | undefined;
  /** What HAProxy says of its own patience. */
  readonly processingTimeoutMs: number | undefined;
  readonly work: Work;
}

/** What takes a time of its own: each kind of message, and a NOTIFY that is not one message of these. */
const kinds: readonly string[] = Object.values(messageNames);
const otherKind = kinds.length;

/*
 * Until something is known, with the recommended ruleset and a warm process: headers take 150 µs and more, a body of
 * JSON half a microsecond a byte until the WAF's time is up. These are below that, for nothing may be let through unseen
 * because of a guess: see WorkEstimates.
 */
const messageUs = 100;
const bodyByteUs = 0.1;
const bodyUs = 20_000;

/** By how many bytes a NOTIFY counts as larger for each further message: a frame has room for thousands of small ones. */
const messageBytes = 1_024;

const bodyMessages: ReadonlySet<string> = new Set([messageNames.requestBody, messageNames.responseBody]);

/**
 * Walks over the payload without decoding what it does not need.
 * @throws SpopError when it is no list of messages.
 */
export function routeOf(payload: Buffer): NotifyRoute {
  const walk = new Walk(payload);
  while (walk.step());
  const { messageName, identity, processingTimeoutMs, work } = walk;
  return { messageName, identity, processingTimeoutMs, work };
}

/** What the beginning of a payload says, as far as it goes. */
export function routeOfBeginning(beginning: Buffer): Pick<NotifyRoute, 'messageName' | 'identity'> {
  const walk = new Walk(beginning);
  try {
    while (walk.step());
  } catch (cause) {
    if (!(cause instanceof SpopError)) throw cause;
  }
  const { messageName, identity } = walk;
  return { messageName, identity };
}

class Walk {
  readonly #payloadBytes: number;
  readonly #cursor: MessageCursor;
  #firstName: string | undefined;
  #messages = 0;
  #hasBody = false;
  identity: string | undefined;
  processingTimeoutMs: number | undefined;

  constructor(payload: Buffer) {
    this.#payloadBytes = payload.length;
    this.#cursor = new MessageCursor(payload);
  }

  get messageName(): string {
    return this.#firstName ?? '';
  }

  get work(): Work {
    const kind = this.#messages === 1 ? kinds.indexOf(this.messageName) : otherKind;
    const bodyGuessUs = this.#hasBody ? Math.min(this.#payloadBytes * bodyByteUs, bodyUs) : 0;
    return {
      kind: kind < 0 ? otherKind : kind,
      size: this.#payloadBytes + messageBytes * Math.max(0, this.#messages - 1),
      guessUs: messageUs * Math.max(1, this.#messages) + bodyGuessUs,
    };
  }

  /** One message; false after the last one. */
  step(): boolean {
    const cursor = this.#cursor;
    if (!cursor.nextMessage()) return false;
    this.#messages += 1;
    this.#firstName ??= cursor.messageName;
    if (bodyMessages.has(cursor.messageName)) this.#hasBody = true;
    while (cursor.nextArgument()) {
      const name = cursor.argumentName;
      if (name === argumentNames.spanId) this.identity ??= typedText(cursor.value());
      else if (name === argumentNames.processingTimeout)
        this.processingTimeoutMs ??= durationOf(cursor.value());
    }
    return true;
  }
}

/** `200ms`, `1s`, or milliseconds as a number. */
function durationOf(value: TypedData): number | undefined {
  const text = typedText(value);
  const durationMs =
    text !== undefined ? parseHaproxyTime(text) : typeof value.value === 'number' ? value.value : undefined;
  return durationMs !== undefined && durationMs > 0 ? durationMs : undefined;
}
