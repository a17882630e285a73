/**
 * The payload of a NOTIFY frame (SPOE.txt 3.2): messages, each with a name and a counted list of named,
 * typed arguments. There may be none, one or several messages, and any of the names may be empty.
 *
 * `MessageCursor` walks over them without making objects of what the caller does not ask for;
 * `decodeMessages` makes plain values of everything.
 */
import type { Buffer } from 'node:buffer';
import { ByteReader } from './byte-reader.ts';
import { ByteWriter } from './byte-writer.ts';
import { FrameType, writeFrame } from './frame.ts';
import {
  readTypedData,
  skipTypedData,
  type TypedData,
  type TypedDataInput,
  writeTypedData,
} from './typed-data.ts';
import type { Uint64 } from './varint.ts';

/** The argument count is one byte on the wire. */
export const MAX_ARGUMENTS = 255;

/** One argument of a message, decoded. */
export interface SpoeArgument {
  /** Empty for an unnamed argument. One character a byte. */
  readonly name: string;
  readonly value: TypedData;
}

/** One message, decoded; arguments in the order in which they came, the same name as often as it came. */
export interface SpoeMessage {
  readonly name: string;
  readonly args: readonly SpoeArgument[];
}

/** A message as it can be encoded. */
export interface SpoeMessageInput {
  readonly name: string;
  readonly args: readonly { readonly name: string; readonly value: TypedDataInput }[];
}

/**
 * Walks over a NOTIFY payload:
 *
 *     while (cursor.nextMessage()) while (cursor.nextArgument()) use(cursor.argumentName, cursor.value());
 *
 * Whatever was not read of an argument or a message is skipped by the next step. Every method throws
 * SpopError on malformed bytes.
 */
export class MessageCursor {
  readonly #reader: ByteReader;
  #argumentsLeft = 0;
  #valueIsNext = false;
  #messageName = '';
  #argumentName = '';

  constructor(payload: Buffer) {
    this.#reader = new ByteReader(payload);
  }

  /** Name of the message the cursor stands in. */
  get messageName(): string {
    return this.#messageName;
  }

  /** Name of the argument the cursor stands at. */
  get argumentName(): string {
    return this.#argumentName;
  }

  /** Steps into the next message, if there is one. */
  nextMessage(): boolean {
    while (this.nextArgument());
    if (this.#reader.remaining === 0) return false;
    this.#messageName = this.#reader.name('message name');
    this.#argumentsLeft = this.#reader.uint8('argument count');
    return true;
  }

  /** Steps to the next argument of this message, if there is one. */
  nextArgument(): boolean {
    if (this.#valueIsNext) skipTypedData(this.#reader);
    this.#valueIsNext = this.#argumentsLeft > 0;
    if (!this.#valueIsNext) return false;
    this.#argumentsLeft -= 1;
    this.#argumentName = this.#reader.name('argument name');
    return true;
  }

  /** The value of this argument; to be asked for once. */
  value(): TypedData {
    if (!this.#valueIsNext)
      throw new RangeError('MessageCursor.value: no argument, or its value was read before');
    this.#valueIsNext = false;
    return readTypedData(this.#reader);
  }
}

/**
 * All messages of a NOTIFY payload. String and binary values are views of it.
 * @throws SpopError if the payload is no list of messages, to its last byte
 */
export function decodeMessages(payload: Buffer): SpoeMessage[] {
  const cursor = new MessageCursor(payload);
  const messages: SpoeMessage[] = [];
  while (cursor.nextMessage()) {
    const args: SpoeArgument[] = [];
    while (cursor.nextArgument()) args.push({ name: cursor.argumentName, value: cursor.value() });
    messages.push({ name: cursor.messageName, args });
  }
  return messages;
}

/** The bytes of a NOTIFY payload. */
export function encodeMessages(messages: readonly SpoeMessageInput[]): Buffer {
  const writer = new ByteWriter();
  writeMessages(writer, messages);
  return writer.take();
}

/** A whole NOTIFY frame, length included. */
export function encodeNotify(
  streamId: Uint64,
  frameId: Uint64,
  messages: readonly SpoeMessageInput[],
): Buffer {
  const writer = new ByteWriter();
  writeFrame(writer, { type: FrameType.NOTIFY, streamId, frameId }, () => writeMessages(writer, messages));
  return writer.take();
}

function writeMessages(writer: ByteWriter, messages: readonly SpoeMessageInput[]): void {
  for (const { name, args } of messages) {
    if (args.length > MAX_ARGUMENTS) {
      throw new RangeError(
        `message ${name}: ${args.length} arguments, at most ${MAX_ARGUMENTS} can be counted`,
      );
    }
    writer.name(name);
    writer.uint8(args.length);
    for (const argument of args) {
      writer.name(argument.name);
      writeTypedData(writer, argument.value);
    }
  }
}
