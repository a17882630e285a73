import type { BodyChunk, HeaderList } from '../http.ts';
import { BodyReading } from './body-reading.ts';
import { contentCodings, decodeContent } from './content-coding.ts';
import type { InspectedBody } from './inspected-body.ts';
import { readMediaType } from './media-type.ts';
import { looksLikeText } from './text.ts';

export type { InspectedBody } from './inspected-body.ts';

export interface BodyLimits {
  /** Bytes of the body to inspect; the rest is cut off. */
  readonly maxBytes: number;
  /** Bytes that decompression may yield. */
  readonly maxDecompressedBytes: number;
}

/** Synchronous unless the body is compressed or multipart. Never throws and never rejects. */
export function inspectBody(
  chunk: BodyChunk,
  headers: HeaderList,
  limits: BodyLimits,
): InspectedBody | Promise<InspectedBody> {
  const reading = new BodyReading(readMediaType(headers));
  const bytes = chunk.bytes.subarray(0, Math.max(0, limits.maxBytes));
  if (bytes.length < Math.max(chunk.bytes.length, chunk.declaredSize ?? 0)) reading.partial = true;
  if (bytes.length === 0) return reading.result('empty');
  const codings = contentCodings(headers);
  if (codings.length === 0) return reading.inspect(bytes);
  return inspectCoded(reading, bytes, codings, limits.maxDecompressedBytes);
}

async function inspectCoded(
  reading: BodyReading,
  bytes: Uint8Array,
  codings: readonly string[],
  maxBytes: number,
): Promise<InspectedBody> {
  const decoded = await decodeContent(bytes, codings, maxBytes);
  if (decoded.cut) reading.partial = true;
  // An error at the end of truncated data is not reported.
  else reading.malformed = decoded.malformed;
  const { format, malformed } = await reading.inspect(decoded.bytes);
  const isClean = !decoded.cut && decoded.malformed === undefined && !looksLikeText(bytes);
  // Uncompressed text may happen to decode to something, and an application may not decode at all.
  if (decoded.undecoded) reading.addRaw(bytes);
  else if (!isClean) await reading.inspect(bytes);
  reading.malformed = decoded.cut && decoded.undecoded ? undefined : malformed;
  return reading.result(format);
}
