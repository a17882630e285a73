import { type Buffer, isUtf8 } from 'node:buffer';
import type { HeaderList } from '../../../engine/http.ts';
import type { Envelope, Range } from './envelope.ts';
import { FieldCursor, type WireError } from './field-cursor.ts';
import { HeaderMapField, HeaderValueField, HttpHeadersField } from './fields.ts';

export interface DecodedHeaders {
  /** Pseudo-header fields among them, in the order received. */
  readonly headers: HeaderList;
  /** The list was malformed; `headers` is what came before. */
  readonly problem: WireError | undefined;
}

/** A character that latin1 has and ASCII does not: UTF-8, or bytes of any kind. */
const hasHighByte = /[\x80-\xff]/;

/** UTF-8 where it is, else one character a byte: no byte is lost. */
export function textOf(bytes: Buffer): string {
  return bytes.toString(isUtf8(bytes) ? 'utf8' : 'latin1');
}

/**
 * The fields in HttpHeaders or HttpTrailers, whose first field both times is the HeaderMap. Never throws. The value is
 * `raw_value`, which Envoy fills since 1.27; `value` where that is missing.
 */
export function decodeHeaders(bytes: Buffer, { content }: Pick<Envelope, 'content'>): DecodedHeaders {
  const headers: (readonly [string, string])[] = [];
  const outer = new FieldCursor(bytes, content.start, content.end);
  let problem: WireError | undefined;
  while (outer.next()) {
    if (outer.isBytes(HttpHeadersField.headers)) problem ??= decodeHeaderMap(bytes, outer, headers);
  }
  return { headers, problem: problem ?? outer.problem };
}

/**
 * Usual fields are plain: one text for all of them, cut at each length, is several times as fast as a text each.
 */
function decodeHeaderMap(
  bytes: Buffer,
  { start, end }: Range,
  headers: (readonly [string, string])[],
): WireError | undefined {
  const text = bytes.toString('latin1', start, end);
  const cut = (from: number, to: number): string => {
    const piece = text.substring(from - start, to - start);
    return hasHighByte.test(piece) ? textOf(bytes.subarray(from, to)) : piece;
  };
  const map = new FieldCursor(bytes, start, end);
  const field = new FieldCursor(bytes);
  while (map.next()) {
    if (!map.isBytes(HeaderMapField.headers)) continue;
    let name = '';
    let value = '';
    let rawValue = '';
    field.over(map.start, map.end);
    while (field.next()) {
      if (field.isBytes(HeaderValueField.key)) name = cut(field.start, field.end);
      else if (field.isBytes(HeaderValueField.rawValue)) rawValue = cut(field.start, field.end);
      else if (field.isBytes(HeaderValueField.value)) value = cut(field.start, field.end);
    }
    headers.push([name.toLowerCase(), rawValue === '' ? value : rawValue]);
  }
  return map.problem ?? field.problem;
}
