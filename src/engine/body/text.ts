import { decodeUrlEncoded } from '../query.ts';

/*
 * Bytes to text, without losing any ASCII. Bytes that are no UTF-8 become U+FFFD and NUL stays. A declared charset is
 * only a claim: what it yields is read in addition to UTF-8, never instead, since the application may not believe it.
 */

const utf8Names: ReadonlySet<string> = new Set(['utf-8', 'utf8', 'us-ascii', 'ascii']);

/** The texts that these bytes may be read as, likeliest first; one in all ordinary cases. Never throws. */
export function readText(bytes: Uint8Array, charset: string | undefined): string[] {
  const utf16 = utf16Name(bytes);
  // A byte order mark names the likeliest reading; parsers that work on bytes do not know it.
  if (utf16 !== undefined && (bytes[0] ?? 0) >= 0xfe)
    return [decodeAs(bytes, utf16) ?? '', decodeUtf8(bytes)];
  const texts = [decodeUtf8(bytes)];
  for (const name of [charset, utf16]) {
    if (name === undefined || utf8Names.has(name)) continue;
    const text = decodeAs(bytes, name === 'utf-16' ? (utf16 ?? 'utf-16be') : name);
    if (text !== undefined && !texts.includes(text)) texts.push(text);
    // Without a byte order mark senders and recipients differ in what UTF-16 means.
    if (name === 'utf-16' && utf16 === undefined) texts.push(decodeAs(bytes, 'utf-16le') ?? '');
  }
  return texts;
}

/** UTF-8 without its byte order mark and without a last character that was cut in the middle. */
function decodeUtf8(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes, { stream: true });
}

/** Undefined when there is no decoder for this label. */
function decodeAs(bytes: Uint8Array, label: string): string | undefined {
  try {
    return new TextDecoder(label).decode(bytes, { stream: true });
  } catch {
    return undefined;
  }
}

/** By byte order mark, or by the NUL that half of an ASCII character leaves in front (RFC 4627, 3). */
function utf16Name(bytes: Uint8Array): 'utf-16le' | 'utf-16be' | undefined {
  const [first, second] = bytes;
  if (first === undefined || second === undefined) return undefined;
  if ((first === 0xff && second === 0xfe) || (first !== 0 && second === 0)) return 'utf-16le';
  if ((first === 0xfe && second === 0xff) || (first === 0 && second !== 0)) return 'utf-16be';
  return undefined;
}

/** Whether bytes are UTF-8 without NUL: text, whatever a label says. A cut last character is forgiven. */
export function looksLikeText(bytes: Uint8Array): boolean {
  if (bytes.includes(0)) return false;
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: true });
    return true;
  } catch {
    return false;
  }
}

/**
 * Text that no parser could take, as it is and as a lenient recipient would have decoded it: JSON's escapes, escapes
 * of forms.
 */
export function rawTexts(text: string): string[] {
  const texts = [text];
  if (text.includes('\\')) texts.push(unescapeJson(text));
  if (text.includes('%')) texts.push(decodeUrlEncoded(text));
  return texts.filter((item, index) => texts.indexOf(item) === index);
}

const shortEscapes: Readonly<Record<string, string>> = {
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
};

function unescapeJson(text: string): string {
  return text.replace(
    /\\(?:u([0-9a-fA-F]{4})|([bfnrt"\\/']))/g,
    (_, hex: string | undefined, short: string) =>
      hex === undefined ? (shortEscapes[short] ?? short) : String.fromCharCode(Number.parseInt(hex, 16)),
  );
}
