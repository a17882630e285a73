import { MessageCursor, type TypedData, typedText } from '../../spop/index.ts';
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
  /** Microseconds of work, roughly. */
  readonly cost: number;
}

/*
 * Measured with the recommended ruleset: headers take about 150 µs and little more when they are long; a body of JSON
 * half a microsecond a byte. What the machine makes of it is learned by EngineThread.
 */
const headersCost = 150;
const headersCostPerByte = 0.02;
const bodyCostPerByte = 0.5;

const bodyMessages: ReadonlySet<string> = new Set([messageNames.requestBody, messageNames.responseBody]);

/**
 * Walks over the payload without decoding what it does not need.
 * @throws SpopError when it is no list of messages.
 */
export function routeOf(payload: Buffer): NotifyRoute {
  const cursor = new MessageCursor(payload);
  let messageName: string | undefined;
  let identity: string | undefined;
  let processingTimeoutMs: number | undefined;
  let hasBody = false;
  let messages = 0;
  while (cursor.nextMessage()) {
    messages += 1;
    messageName ??= cursor.messageName;
    if (bodyMessages.has(cursor.messageName)) hasBody = true;
    while (cursor.nextArgument()) {
      const name = cursor.argumentName;
      if (name === argumentNames.spanId) identity ??= typedText(cursor.value());
      else if (name === argumentNames.processingTimeout) processingTimeoutMs ??= durationOf(cursor.value());
    }
  }
  const perByte = hasBody ? bodyCostPerByte : headersCostPerByte;
  return {
    messageName: messageName ?? '',
    identity,
    processingTimeoutMs,
    // Each message is a transaction or a part of one: a frame has room for thousands that carry nothing.
    cost: headersCost * Math.max(1, messages) + payload.length * perByte,
  };
}

/** `200ms`, `1s`, or milliseconds as a number. */
function durationOf(value: TypedData): number | undefined {
  const text = typedText(value);
  const durationMs =
    text !== undefined ? parseHaproxyTime(text) : typeof value.value === 'number' ? value.value : undefined;
  return durationMs !== undefined && durationMs > 0 ? durationMs : undefined;
}
