import type { Buffer } from 'node:buffer';
import { FieldCursor, type WireError } from './field-cursor.ts';
import {
  HttpBodyField,
  HttpHeadersField,
  ProcessingRequestField,
  ProtocolConfigurationField,
} from './fields.ts';
import { kindOfRequestField, type MessageKind } from './kinds.ts';

/** Where in the bytes of a message something is. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/** `protocol_config`: what Envoy is configured to send, whatever is asked for later. Envoy 1.36 and later tell it. */
export interface ProtocolConfig {
  /** See BodyMode. */
  readonly requestBodyMode: number;
  readonly responseBodyMode: number;
  readonly sendsBodyUnasked: boolean;
}

/** A ProcessingRequest as far as one has to know it without decoding what it carries. */
export interface Envelope {
  /** Undefined when it carries nothing that is known here. */
  readonly kind: MessageKind | undefined;
  /** Of HttpHeaders, HttpBody or HttpTrailers. */
  readonly content: Range;
  /** Of the bytes in an HttpBody. */
  readonly body: Range;
  readonly endOfStream: boolean;
  readonly observability: boolean;
  /** In the first message of a stream. */
  readonly protocolConfig: ProtocolConfig | undefined;
  /** Entries of `attributes`. */
  readonly attributes: readonly Range[];
  readonly metadataContext: Range | undefined;
  /** What came before it is good. */
  readonly problem: WireError | undefined;
}

const nothing: Range = { start: 0, end: 0 };
const noRanges: readonly Range[] = [];

/**
 * Walks over a ProcessingRequest. Never throws, and takes time for its fields, not for its bytes. Of several contents the
 * last counts, as protobuf has it for a oneof; unknown fields are passed over.
 */
export function readEnvelope(bytes: Buffer): Envelope {
  const cursor = new FieldCursor(bytes);
  let kind: MessageKind | undefined;
  let content = nothing;
  let observability = false;
  let protocolConfig: ProtocolConfig | undefined;
  let attributes: Range[] | undefined;
  let metadataContext: Range | undefined;
  while (cursor.next()) {
    const found = cursor.type === 2 ? kindOfRequestField(cursor.number) : undefined;
    if (found !== undefined) {
      kind = found;
      content = { start: cursor.start, end: cursor.end };
    } else if (cursor.isBytes(ProcessingRequestField.attributes)) {
      attributes ??= [];
      attributes.push({ start: cursor.start, end: cursor.end });
    } else if (cursor.isBytes(ProcessingRequestField.metadataContext)) {
      metadataContext = { start: cursor.start, end: cursor.end };
    } else if (cursor.isVarint(ProcessingRequestField.observabilityMode)) {
      observability = cursor.value !== 0;
    } else if (cursor.isBytes(ProcessingRequestField.protocolConfig)) {
      protocolConfig = readProtocolConfig(new FieldCursor(bytes, cursor.start, cursor.end));
    }
  }
  const inner = new FieldCursor(bytes, content.start, content.end);
  const { endOfStream, body } = readEnd(inner, kind);
  return {
    kind,
    content,
    body,
    endOfStream,
    observability,
    protocolConfig,
    attributes: attributes ?? noRanges,
    metadataContext,
    problem: cursor.problem ?? inner.problem,
  };
}

/** Trailers are the end by their nature. */
function readEnd(cursor: FieldCursor, kind: MessageKind | undefined): Pick<Envelope, 'endOfStream' | 'body'> {
  let body = nothing;
  let endOfStream = kind === 'request-trailers' || kind === 'response-trailers';
  if (kind === undefined || endOfStream) return { endOfStream, body };
  const isBody = kind === 'request-body' || kind === 'response-body';
  const endField = isBody ? HttpBodyField.endOfStream : HttpHeadersField.endOfStream;
  while (cursor.next()) {
    if (cursor.isVarint(endField)) endOfStream = cursor.value !== 0;
    else if (isBody && cursor.isBytes(HttpBodyField.body)) body = { start: cursor.start, end: cursor.end };
  }
  return { endOfStream, body };
}

function readProtocolConfig(cursor: FieldCursor): ProtocolConfig {
  const config = { requestBodyMode: 0, responseBodyMode: 0, sendsBodyUnasked: false };
  while (cursor.next()) {
    if (cursor.isVarint(ProtocolConfigurationField.requestBodyMode)) config.requestBodyMode = cursor.value;
    else if (cursor.isVarint(ProtocolConfigurationField.responseBodyMode))
      config.responseBodyMode = cursor.value;
    else if (cursor.isVarint(ProtocolConfigurationField.sendBodyWithoutWaitingForHeaderResponse))
      config.sendsBodyUnasked = cursor.value !== 0;
  }
  return config;
}
