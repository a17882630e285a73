import type { HeaderList } from '../../engine/http.ts';
import { ByteReader, ByteWriter, SpopError, textOfBytes } from '../../spop/index.ts';

/*
 * HAProxy's `req.hdrs_bin` and `res.hdrs_bin` (configuration manual, 7.3.6): name and value, each with its length as
 * a varint, ended by an empty name and an empty value. HAProxy writes names in lower case and keeps repeated fields
 * apart.
 */

export interface DecodedHeaders {
  readonly headers: HeaderList;
  /** The list was malformed; `headers` is what came before. */
  readonly problem: SpopError | undefined;
}

/** Never throws. A missing end is no problem: what came is inspected. */
export function decodeHdrsBin(bytes: Buffer): DecodedHeaders {
  const reader = new ByteReader(bytes);
  const headers: [string, string][] = [];
  try {
    while (reader.remaining > 0) {
      const name = textOfBytes(reader.prefixedBytes('header name'));
      const value = textOfBytes(reader.prefixedBytes('header value'));
      if (name === '' && value === '') break;
      headers.push([name.toLowerCase(), value]);
    }
  } catch (error) {
    if (!(error instanceof SpopError)) throw error;
    return { headers, problem: error };
  }
  return { headers, problem: undefined };
}

/** The other way round, for tests and tools that stand in for HAProxy. */
export function encodeHdrsBin(headers: HeaderList): Buffer {
  const writer = new ByteWriter();
  for (const [name, value] of [...headers, ['', ''] as const]) {
    writer.prefixedText(name);
    writer.prefixedText(value);
  }
  return writer.take();
}
