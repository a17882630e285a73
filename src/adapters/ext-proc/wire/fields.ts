/*
 * The part of envoy/service/ext_proc/v3/external_processor.proto that crosses this door: numbers of fields, by message,
 * and values of enumerations. The same numbers in Envoy 1.36 to 1.40; test/e2e/ext-proc-descriptor.test.ts compares them
 * with the descriptors that each Envoy carries within itself.
 */

export const ProcessingRequestField = {
  requestHeaders: 2,
  responseHeaders: 3,
  requestBody: 4,
  responseBody: 5,
  requestTrailers: 6,
  responseTrailers: 7,
  metadataContext: 8,
  attributes: 9,
  observabilityMode: 10,
  protocolConfig: 11,
} as const;

export const HttpHeadersField = { headers: 1, endOfStream: 3 } as const;
export const HttpBodyField = { body: 1, endOfStream: 2 } as const;
export const HttpTrailersField = { trailers: 1 } as const;
/** envoy/config/core/v3/base.proto */
export const HeaderMapField = { headers: 1 } as const;
/** envoy/config/core/v3/base.proto */
export const HeaderValueField = { key: 1, value: 2, rawValue: 3 } as const;
/** envoy/config/core/v3/base.proto */
export const MetadataField = { filterMetadata: 1 } as const;
/** Entries of every protobuf map. */
export const MapEntryField = { key: 1, value: 2 } as const;
/** google/protobuf/struct.proto */
export const StructField = { fields: 1 } as const;
/** google/protobuf/struct.proto */
export const ValueField = { number: 2, string: 3, bool: 4, struct: 5 } as const;
export const ProtocolConfigurationField = {
  requestBodyMode: 1,
  responseBodyMode: 2,
  sendBodyWithoutWaitingForHeaderResponse: 3,
} as const;

export const ProcessingResponseField = {
  requestHeaders: 1,
  responseHeaders: 2,
  requestBody: 3,
  responseBody: 4,
  requestTrailers: 5,
  responseTrailers: 6,
  immediateResponse: 7,
  dynamicMetadata: 8,
  modeOverride: 9,
  overrideMessageTimeout: 10,
} as const;

/** HeadersResponse and BodyResponse alike. */
export const ResponseField = { response: 1 } as const;
export const CommonResponseField = { headerMutation: 2, bodyMutation: 3 } as const;
export const HeaderMutationField = { setHeaders: 1 } as const;
/** envoy/config/core/v3/base.proto */
export const HeaderValueOptionField = { header: 1 } as const;
export const BodyMutationField = { streamedResponse: 3 } as const;
export const StreamedBodyResponseField = { body: 1, endOfStream: 2 } as const;
export const ImmediateResponseField = { status: 1, headers: 2, body: 3, grpcStatus: 4, details: 5 } as const;
/** envoy/type/v3/http_status.proto */
export const HttpStatusField = { code: 1 } as const;
export const GrpcStatusField = { status: 1 } as const;
/** envoy/extensions/filters/http/ext_proc/v3/processing_mode.proto */
export const ProcessingModeField = {
  requestHeaderMode: 1,
  responseHeaderMode: 2,
  requestBodyMode: 3,
  responseBodyMode: 4,
} as const;
/** google/protobuf/duration.proto */
export const DurationField = { seconds: 1, nanos: 2 } as const;

/** ProcessingMode.BodySendMode */
export const BodyMode = {
  none: 0,
  streamed: 1,
  buffered: 2,
  bufferedPartial: 3,
  fullDuplexStreamed: 4,
} as const;
