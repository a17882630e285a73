import { type HeaderList, headerValues } from '../http.ts';

/** What the Content-Type fields of a message say, read leniently (RFC 9110, 8.3). */
export interface MediaType {
  /** `type/subtype` in lower case; undefined when missing, malformed, or when several fields disagree. */
  readonly essence: string | undefined;
  /** Every well-formed `type/subtype` that was named, in order, without repetition. */
  readonly essences: readonly string[];
  /** Every boundary parameter, in order, without repetition: recipients differ in which one they take. */
  readonly boundaries: readonly string[];
  /** The first charset parameter, in lower case. */
  readonly charset: string | undefined;
}

const typePattern = /^\s*([!#$%&'*+.^_`|~\w-]{1,127}\/[!#$%&'*+.^_`|~\w-]{1,127})\s*(?=[;,]|$)/;
const parameterPattern =
  /([!#$%&'*+.^_`|~\w-]{1,127})\s{0,8}=\s{0,8}(?:"([^"\\]*(?:\\[\s\S][^"\\]*)*)"|([^;,\s]*))/g;

/** Never throws. */
export function readMediaType(headers: HeaderList): MediaType {
  return parseMediaType(headerValues(headers, 'content-type'));
}

/** @param fields the values of the Content-Type fields */
export function parseMediaType(fields: readonly string[]): MediaType {
  const essences = new Set<string>();
  const boundaries = new Set<string>();
  let charset: string | undefined;
  let malformed = false;
  for (const field of fields) {
    for (const item of splitAtCommas(field)) {
      const essence = typePattern.exec(item)?.[1]?.toLowerCase();
      if (essence === undefined) malformed = true;
      else essences.add(essence);
      for (const [, name, quoted, token] of item.matchAll(parameterPattern)) {
        const value = quoted === undefined ? (token ?? '') : quoted.replace(/\\([\s\S])/g, '$1');
        const lowerName = name?.toLowerCase();
        if (lowerName === 'boundary' && value !== '') boundaries.add(value);
        if (lowerName === 'charset') charset ??= value.toLowerCase();
      }
    }
  }
  const [first] = essences;
  return {
    essence: essences.size === 1 && !malformed ? first : undefined,
    essences: [...essences],
    boundaries: [...boundaries],
    charset,
  };
}

export const formType = 'application/x-www-form-urlencoded';

/** One JSON document: `application/json`, `text/json`, anything with the suffix `+json` (RFC 6839). */
export function isJsonType(essence: string): boolean {
  return (essence.endsWith('/json') || essence.endsWith('+json')) && !isJsonSequenceType(essence);
}

const jsonSequenceTypes: ReadonlySet<string> = new Set([
  'application/x-ndjson',
  'application/ndjson',
  'application/jsonl',
  'application/x-jsonl',
  'application/jsonlines',
  'application/x-jsonlines',
  'application/json-seq',
  'application/stream+json',
  'application/x-json-stream',
]);

/** JSON documents one after the other: NDJSON and its kin, JSON text sequences (RFC 7464), streams of Connect. */
export function isJsonSequenceType(essence: string): boolean {
  return jsonSequenceTypes.has(essence) || essence.endsWith('+json-seq') || essence === connectJsonType;
}

/** A stream of the Connect protocol: each document in an envelope. */
export const connectJsonType = 'application/connect+json';

/** Parts between commas outside quotes: fields of one name may have been joined on the way. */
function splitAtCommas(text: string): string[] {
  if (!text.includes(',')) return [text];
  const items: string[] = [];
  let start = 0;
  let isQuoted = false;
  for (let index = 0; index < text.length; index += 1) {
    const char = text[index];
    if (isQuoted && char === '\\') index += 1;
    else if (char === '"') isQuoted = !isQuoted;
    else if (char === ',' && !isQuoted) {
      items.push(text.slice(start, index));
      start = index + 1;
    }
  }
  items.push(text.slice(start));
  return items;
}
