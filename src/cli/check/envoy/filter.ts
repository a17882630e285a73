import type { Place } from './place.ts';

/*
 * The filter that asks the processor, whoever configures it: a field that is not there is undefined, and Envoy's default
 * counts.
 */

export type BodyMode = 'NONE' | 'STREAMED' | 'BUFFERED' | 'BUFFERED_PARTIAL' | 'FULL_DUPLEX_STREAMED';
export type Direction = 'request' | 'response';

/** What is sent of one direction. */
export interface Processing {
  readonly direction: Direction;
  readonly sendsHeaders: boolean;
  /** Where that is said, if it is. */
  readonly headers: Place | undefined;
  readonly body: BodyMode;
  readonly bodyPlace: Place | undefined;
  readonly sendsTrailers: boolean;
}

export interface ProcessorFilter {
  /** Who writes Envoy's configuration from it: nobody, or Envoy Gateway. */
  readonly by: 'envoy' | 'envoy-gateway';
  readonly place: Place;
  /** All fields, for those that only one of the two has. */
  readonly config: Place;
  readonly failOpen: Place | undefined;
  readonly messageTimeout: Place | undefined;
  readonly allowModeOverride: Place | undefined;
  readonly observability: Place | undefined;
  readonly requestAttributes: Place | undefined;
  readonly receivingNamespaces: Place | undefined;
  readonly retryPolicy: Place | undefined;
  readonly processing: readonly [Processing, Processing];
}

/** From the `typed_config` of the HTTP filter. */
export function envoyFilter(place: Place, config: Place): ProcessorFilter {
  return {
    by: 'envoy',
    place,
    config,
    failOpen: config.field('failure_mode_allow'),
    messageTimeout: config.field('message_timeout'),
    allowModeOverride: config.field('allow_mode_override'),
    observability: config.field('observability_mode'),
    requestAttributes: config.field('request_attributes'),
    receivingNamespaces: config.field('metadata_options', 'receiving_namespaces', 'untyped'),
    retryPolicy: config.field('grpc_service', 'retry_policy'),
    processing: processingOf(config.field('processing_mode')),
  };
}

/** From one entry of `extProc` in an EnvoyExtensionPolicy, whose defaults are others: nothing is sent that is not named. */
export function gatewayFilter(config: Place): ProcessorFilter {
  const modes = config.field('processing_mode');
  const processing = (direction: Direction): Processing => {
    const place = modes?.field(direction);
    const bodyPlace = place?.field('body');
    const body = gatewayModes[bodyPlace?.text ?? ''] ?? 'NONE';
    return {
      ...{ direction, sendsHeaders: place !== undefined, headers: place, body, bodyPlace },
      sendsTrailers: body === 'FULL_DUPLEX_STREAMED',
    };
  };
  return {
    by: 'envoy-gateway',
    place: config,
    config,
    failOpen: config.field('failOpen'),
    messageTimeout: config.field('messageTimeout'),
    allowModeOverride: modes?.field('allowModeOverride'),
    observability: config.field('shadowMode'),
    requestAttributes: modes?.field('request', 'attributes'),
    receivingNamespaces: config.field('metadata', 'writableNamespaces'),
    retryPolicy: config.field('backendSettings', 'retry'),
    processing: [processing('request'), processing('response')],
  };
}

const gatewayModes: Readonly<Record<string, BodyMode>> = {
  Streamed: 'STREAMED',
  Buffered: 'BUFFERED',
  BufferedPartial: 'BUFFERED_PARTIAL',
  FullDuplexStreamed: 'FULL_DUPLEX_STREAMED',
};
const modes: readonly string[] = ['NONE', 'STREAMED', 'BUFFERED', 'BUFFERED_PARTIAL', 'FULL_DUPLEX_STREAMED'];

/** A `ProcessingMode`, of a filter or of a route; headers are sent and nothing else when there is none. */
export function processingOf(mode: Place | undefined): [Processing, Processing] {
  const of = (direction: Direction): Processing => {
    const headers = mode?.field(`${direction}_header_mode`);
    const bodyPlace = mode?.field(`${direction}_body_mode`);
    return {
      direction,
      sendsHeaders: headers?.text !== 'SKIP',
      headers,
      body: bodyMode(bodyPlace?.text),
      bodyPlace,
      sendsTrailers: mode?.field(`${direction}_trailer_mode`)?.text === 'SEND',
    };
  };
  return [of('request'), of('response')];
}

/** Protobuf's JSON takes the number as well as the name. */
function bodyMode(text: string | undefined): BodyMode {
  const name = /^\d$/.test(text ?? '') ? modes[Number(text)] : text;
  return (modes.includes(name ?? '') ? name : 'NONE') as BodyMode;
}
