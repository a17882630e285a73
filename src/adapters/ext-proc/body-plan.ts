import { type HeaderList, headerValue, headerValues } from '../../engine/http.ts';
import { BodyMode } from './wire/fields.ts';

/*
 * How a body is asked for. Envoy holds a message back until it has the body in the modes BUFFERED and BUFFERED_PARTIAL.
 * That is what blocking needs, and what a body must not be asked for whose end waits for the other side: upgrades,
 * CONNECT, gRPC, streams of the Connect protocol. They would hang.
 */

/**
 * `whole`: it ends, and can be held. `stream`: it may have no end before the other side answers, and can only be looked at
 * as it passes. `opaque`: it has nothing to look at, or no end at all.
 */
export type BodyNature = 'whole' | 'stream' | 'opaque';

export interface BodyPlan {
  /** The engine is given what comes. */
  readonly expected: boolean;
  /** For `mode_override`; undefined: as Envoy is configured. */
  readonly override: number | undefined;
  /** The mode that it will come in, if it comes; undefined: not known. */
  readonly mode: number | undefined;
}

/**
 * @param wanted the engine would look at it
 * @param configured the mode that Envoy is configured with; undefined: Envoy does not say
 * @param blocks a verdict may block; else nothing has to be held back for it
 */
export function planBody(
  wanted: boolean,
  nature: BodyNature,
  configured: number | undefined,
  blocks: boolean,
): BodyPlan {
  const expected = wanted && nature !== 'opaque';
  if (configured !== undefined && configured !== BodyMode.none) {
    const isHeld = configured === BodyMode.buffered || configured === BodyMode.bufferedPartial;
    // What Envoy is configured to hold would never get through.
    if (isHeld && nature !== 'whole')
      return { expected, override: BodyMode.streamed, mode: BodyMode.streamed };
    return { expected, override: undefined, mode: configured };
  }
  if (!expected) return { expected, override: undefined, mode: undefined };
  const mode = blocks && nature === 'whole' ? BodyMode.bufferedPartial : BodyMode.streamed;
  return { expected, override: mode, mode };
}

/** @param received with its pseudo-header fields */
export function natureOfRequestBody(received: HeaderList): BodyNature {
  if (headerValue(received, ':method') === 'CONNECT' || headerValue(received, ':protocol') !== undefined)
    return 'opaque';
  if (isGrpc(received)) return 'opaque';
  if (isUpgrade(received)) return declaresBody(received) ? 'stream' : 'opaque';
  return isConnectStream(received) ? 'stream' : 'whole';
}

/** @param received with its pseudo-header fields */
export function natureOfResponseBody(received: HeaderList, ofGrpcOrTunnel: boolean): BodyNature {
  if (ofGrpcOrTunnel || headerValue(received, ':status') === '101' || isGrpc(received)) return 'opaque';
  const types = headerValues(received, 'content-type').join(',').toLowerCase();
  return types.includes('text/event-stream') || isConnectStream(received) ? 'stream' : 'whole';
}

/** As Envoy tells gRPC: what it would answer with a grpc-status. */
export function isGrpc(headers: HeaderList): boolean {
  return headerValues(headers, 'content-type').some((type) =>
    /^\s*application\/grpc(?:\+|;|\s|$)/i.test(type),
  );
}

/** Envoy leaves both fields in place for upgrades that it is configured to let through, and refuses others. */
export function isUpgrade(headers: HeaderList): boolean {
  return (
    headerValue(headers, 'upgrade') !== undefined &&
    headerValues(headers, 'connection').some((value) => /(?:^|,)\s*upgrade\s*(?:,|$)/i.test(value))
  );
}

/**
 * A request may ask for an upgrade and have a body for an origin that does not know of upgrades. Envoy finds no end of it,
 * so it cannot be held.
 */
function declaresBody(headers: HeaderList): boolean {
  if (headerValue(headers, 'transfer-encoding') !== undefined) return true;
  return headerValues(headers, 'content-length').some((length) => !/^\s*0*\s*$/.test(length));
}

/** Streams of the Connect protocol may go both ways at once, as gRPC's. */
function isConnectStream(headers: HeaderList): boolean {
  return headerValues(headers, 'content-type').some((type) => /^\s*application\/connect\+/i.test(type));
}
