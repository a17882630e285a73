import type { HeaderList } from '../../engine/http.ts';
import { ByteReader, ByteWriter, SpopError, textOfBytes } from '../../spop/index.ts';

/*
 * HAProxy's `req.hdrs_bin` and `res.hdrs_bin` (configuration manual, 7.3.6): name and value, each with its length as
 * a varint, ended by an empty name and an empty value. HAProxy writes names in lower case and keeps repeated fields
 * apart.
 */

/** A header list as far as it could be read. */
export interface DecodedHeaders {
  readonly headers: HeaderList;
  /** The list was malformed; `headers` is what came before. */
  readonly problem: SpopError | undefined;
}

/** Never throws. A missing end is no problem: what came is inspected. */
export function decodeHdrsBin(bytes: Buffer): DecodedHeaders {
  // Usual headers are plain: one text for all of them, cut at each length, is five times as fast as a text each. The
  // lengths are bytes of the list, too: those of 128 and more are no ASCII and become one character as any other.
  const text = bytes.toString('latin1');
  const reader = new ByteReader(bytes);
  const read = (what: string): string => {
    const length = reader.skipPrefixedBytes(what);
    const start = reader.position - length;
    const piece = text.substring(start, reader.position);
    return hasHighByte.test(piece) ? textOfBytes(bytes.subarray(start, reader.position)) : piece;
  };
  const headers: [string, string][] = [];
  try {
    while (reader.remaining > 0) {
      const name = read('header name');
      const value = read('header value');
      if (name === '' && value === '') break;
      headers.push([name.toLowerCase(), value]);
    }
  } catch (error) {
    if (!(error instanceof SpopError)) throw error;
    return { headers, problem: error };
  }
  return { headers, problem: undefined };
}

/** A character that latin1 has and ASCII does not: UTF-8, or bytes of any kind. */
const hasHighByte = /[\x80-\xff]/;

/** The other way round, for tests and tools that stand in for HAProxy. */
export function encodeHdrsBin(headers: HeaderList): Buffer {
  const writer = new ByteWriter();
  for (const [name, value] of [...headers, ['', ''] as const]) {
    writer.prefixedText(name);
    writer.prefixedText(value);
  }
  return writer.take();
}
