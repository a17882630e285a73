/**
 * HTTP as the engine sees it, whatever door it came through.
 *
 * Nothing here is normalised beyond what is stated: what cannot be parsed must still reach the WAF.
 */

/** Header fields in the order received: names in lower case, values untouched, repeated fields kept apart. */
export type HeaderList = readonly (readonly [name: string, value: string])[];

/**
 * The application that a request belongs to, if several share one process. For undefined fields, the settings of the process
 * apply.
 */
export interface Application {
  readonly service: string | undefined;
  readonly environment: string | undefined;
  readonly version: string | undefined;
  /** Detections are reported, nothing is blocked. */
  readonly reportOnly: boolean;
}

export interface RequestHead {
  readonly method: string;
  /** The request target exactly as received: path and query, absolute form, or `*` (RFC 9112, 3.2). */
  readonly target: string;
  readonly headers: HeaderList;
  /** The address of the TCP peer, without port; undefined when the door does not know it. */
  readonly peerAddress: string | undefined;
  readonly peerPort: number | undefined;
  /** Whether the client reached the proxy over TLS. */
  readonly https: boolean;
  /** Size of the body in bytes as the door learned it besides the headers; undefined when it did not. */
  readonly declaredBodySize: number | undefined;
  /** The door does not wait for the end of the body: no more than its beginning will come, or nothing. */
  readonly bodyIsStream?: boolean;
  readonly application?: Application | undefined;
  /** True: the message is over with its headers, no body follows. */
  readonly endOfStream?: boolean;
  /**
   * The client's address, when the door can vouch for it (PROXY protocol, a trusted sender); else the engine's rules
   * decide between headers and `peerAddress`.
   */
  readonly clientIp?: string | undefined;
}

export interface ResponseHead {
  readonly status: number;
  readonly headers: HeaderList;
  /** For a response whose request is not known here. */
  readonly application?: Application | undefined;
}

/** A body, or the next piece of one. */
export interface BodyChunk {
  readonly bytes: Uint8Array;
  /** Size of the whole body in bytes as the sender declared it; undefined when unknown (chunked, older configuration). */
  readonly declaredSize: number | undefined;
  /** For a body whose headers are not known here. */
  readonly application?: Application | undefined;
  /** False: further chunks follow. Otherwise the body ends with this one. */
  readonly endOfStream?: boolean;
}

/** All values of a field, in order. `name` in lower case. */
export function headerValues(headers: HeaderList, name: string): string[] {
  const values: string[] = [];
  for (const [fieldName, value] of headers) if (fieldName === name) values.push(value);
  return values;
}

/** The first value of a field, or undefined. `name` in lower case. */
export function headerValue(headers: HeaderList, name: string): string | undefined {
  for (const [fieldName, value] of headers) if (fieldName === name) return value;
  return undefined;
}
