/**
 * Limits that hold for the whole process, however many engines it has. In shared memory, so that engine threads can be
 * handed the same; each word is what RateLimiter and SpanTracer say.
 */
export interface SharedLimits {
  readonly reports: BigInt64Array<ArrayBufferLike>;
  readonly schemas: BigInt64Array<ArrayBufferLike>;
  readonly heartbeat: BigInt64Array<ArrayBufferLike>;
  readonly announced: Int32Array<ArrayBufferLike>;
}

export function createSharedLimits(): SharedLimits {
  return {
    reports: new BigInt64Array(new SharedArrayBuffer(8)),
    schemas: new BigInt64Array(new SharedArrayBuffer(8)),
    heartbeat: new BigInt64Array(new SharedArrayBuffer(8)),
    announced: new Int32Array(new SharedArrayBuffer(4)),
  };
}
