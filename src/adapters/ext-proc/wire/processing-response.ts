import { Buffer } from 'node:buffer';
import type { HeaderList } from '../../../engine/http.ts';
import {
  BodyMutationField,
  CommonResponseField,
  DurationField,
  GrpcStatusField,
  HeaderMutationField,
  HeaderValueField,
  HeaderValueOptionField,
  HttpStatusField,
  ImmediateResponseField,
  ProcessingModeField,
  ProcessingResponseField,
  ResponseField,
  StreamedBodyResponseField,
} from './fields.ts';
import { answerFieldOf, type MessageKind, messageKinds } from './kinds.ts';
import { ProtoWriter, varintSize } from './proto-writer.ts';
import { writeNamedTexts } from './struct.ts';

/** Texts for access logs and other filters, under one namespace of Envoy's dynamic metadata. */
export interface DynamicMetadata {
  readonly namespace: string;
  readonly texts: Readonly<Record<string, string>>;
}

/** See BodyMode. What is undefined stays as it is. */
export interface ModeOverride {
  readonly requestBodyMode?: number | undefined;
  readonly responseBodyMode?: number | undefined;
}

export interface ContinueAnswer {
  /** They replace fields of the same name. */
  readonly setHeaders?: HeaderList;
  readonly modeOverride?: ModeOverride | undefined;
  readonly dynamicMetadata?: DynamicMetadata | undefined;
}

export interface ImmediateAnswer {
  readonly status: number;
  readonly headers: HeaderList;
  readonly body: Uint8Array;
  /** For a gRPC client; undefined: Envoy makes it from the status. */
  readonly grpcStatus: number | undefined;
  /** `%RESPONSE_CODE_DETAILS%` in Envoy's access log. */
  readonly details: string;
  readonly dynamicMetadata?: DynamicMetadata | undefined;
}

/** The message may go on its way. */
export function encodeContinue(kind: MessageKind, answer: ContinueAnswer = {}): Buffer {
  const { setHeaders = [], modeOverride, dynamicMetadata } = answer;
  const writer = new ProtoWriter();
  const outer = writer.open(answerFieldOf(kind));
  if (setHeaders.length > 0) {
    const isTrailers = kind === 'request-trailers' || kind === 'response-trailers';
    // TrailersResponse has its mutation without a CommonResponse around it.
    if (isTrailers) writeHeaderMutation(writer, ResponseField.response, setHeaders);
    else {
      const common = writer.open(ResponseField.response);
      writeHeaderMutation(writer, CommonResponseField.headerMutation, setHeaders);
      writer.close(common);
    }
  }
  writer.close(outer);
  if (dynamicMetadata !== undefined) writeDynamicMetadata(writer, dynamicMetadata);
  if (modeOverride !== undefined) writeModeOverride(writer, modeOverride);
  return writer.take();
}

/** The client gets this, and the origin (or the client, of its response) nothing more. */
export function encodeImmediate(answer: ImmediateAnswer): Buffer {
  const writer = new ProtoWriter(answer.body.length + 512);
  const immediate = writer.open(ProcessingResponseField.immediateResponse);
  const status = writer.open(ImmediateResponseField.status);
  writer.varint(HttpStatusField.code, answer.status);
  writer.close(status);
  if (answer.headers.length > 0) writeHeaderMutation(writer, ImmediateResponseField.headers, answer.headers);
  if (answer.body.length > 0) writer.bytes(ImmediateResponseField.body, answer.body);
  if (answer.grpcStatus !== undefined) {
    const grpc = writer.open(ImmediateResponseField.grpcStatus);
    if (answer.grpcStatus > 0) writer.varint(GrpcStatusField.status, answer.grpcStatus);
    writer.close(grpc);
  }
  if (answer.details !== '') writer.text(ImmediateResponseField.details, answer.details);
  writer.close(immediate);
  if (answer.dynamicMetadata !== undefined) writeDynamicMetadata(writer, answer.dynamicMetadata);
  return writer.take();
}

/** A piece of a body in mode FULL_DUPLEX_STREAMED, in which whatever is to go on has to be sent back. */
export function encodeStreamedBody(
  kind: 'request-body' | 'response-body',
  body: Uint8Array,
  endOfStream: boolean,
): Buffer {
  const piece = (body.length > 0 ? fieldSize(body.length) : 0) + (endOfStream ? 2 : 0);
  const mutation = fieldSize(piece);
  const common = fieldSize(mutation);
  const response = fieldSize(common);
  const writer = new ProtoWriter(fieldSize(response));
  writer.header(answerFieldOf(kind), response);
  writer.header(ResponseField.response, common);
  writer.header(CommonResponseField.bodyMutation, mutation);
  writer.header(BodyMutationField.streamedResponse, piece);
  if (body.length > 0) writer.bytes(StreamedBodyResponseField.body, body);
  if (endOfStream) writer.varint(StreamedBodyResponseField.endOfStream, 1);
  return writer.take();
}

/** Answers no message: Envoy waits longer for the answer to the one that it sent. */
export function encodeMessageTimeout(timeoutMs: number): Buffer {
  const writer = new ProtoWriter();
  const duration = writer.open(ProcessingResponseField.overrideMessageTimeout);
  const seconds = Math.floor(timeoutMs / 1000);
  const nanos = Math.round((timeoutMs - seconds * 1000) * 1_000_000);
  if (seconds > 0) writer.varint(DurationField.seconds, seconds);
  if (nanos > 0) writer.varint(DurationField.nanos, nanos);
  writer.close(duration);
  return writer.take();
}

/** Tag of one byte, length, and so many bytes. */
function fieldSize(length: number): number {
  return 1 + varintSize(length) + length;
}

function writeHeaderMutation(writer: ProtoWriter, field: number, headers: HeaderList): void {
  const mutation = writer.open(field);
  for (const [name, value] of headers) {
    const option = writer.open(HeaderMutationField.setHeaders);
    const header = writer.open(HeaderValueOptionField.header);
    writer.text(HeaderValueField.key, name);
    // Envoy takes nothing else: what stands in `value` comes out empty.
    writer.text(HeaderValueField.rawValue, value);
    writer.close(header);
    writer.close(option);
  }
  writer.close(mutation);
}

function writeDynamicMetadata(writer: ProtoWriter, { namespace, texts }: DynamicMetadata): void {
  writeNamedTexts(writer, ProcessingResponseField.dynamicMetadata, namespace, texts);
}

function writeModeOverride(writer: ProtoWriter, mode: ModeOverride): void {
  const { requestBodyMode, responseBodyMode } = mode;
  const override = writer.open(ProcessingResponseField.modeOverride);
  if (requestBodyMode !== undefined) writer.varint(ProcessingModeField.requestBodyMode, requestBodyMode);
  if (responseBodyMode !== undefined) writer.varint(ProcessingModeField.responseBodyMode, responseBodyMode);
  writer.close(override);
}

const plainContinues = new Map(messageKinds.map((kind) => [kind, encodeContinue(kind)]));

/** CONTINUE and nothing else: for a flood of messages it stands ready. */
export function plainContinue(kind: MessageKind): Buffer {
  return plainContinues.get(kind) ?? Buffer.alloc(0);
}
