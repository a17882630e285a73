import { decodeUrlEncoded } from '../query.ts';
import { charsetsOf, decodeCharset } from './charset.ts';
import { readXmlText } from './xml-text.ts';

/*
 * Bytes to text, without losing any ASCII. Invalid UTF-8 becomes U+FFFD and NUL stays. A declared charset is
 * used in addition to UTF-8, never instead of it, because the application may ignore the declaration.
 */

/** The texts that these bytes may be read as, likeliest first; one in all ordinary cases. Never throws. */
export function readText(bytes: Uint8Array, charset: string | undefined): string[] {
  const declared = charsetsOf(charset ?? xmlEncoding(bytes));
  const [first = 0, second = 0] = bytes;
  // As nearly all bodies are.
  if (first !== 0 && first < 0xfe && second !== 0 && declared.length === 0) return [decodeUtf8(bytes)];
  const wide = wideNames(bytes);
  // A byte order mark names the likeliest reading; parsers that work on bytes do not know it.
  const names = first >= 0xfe ? [...wide, 'utf-8', ...declared] : ['utf-8', ...declared, ...wide];
  const texts = new Set<string>();
  for (const name of new Set(names)) {
    const text = name === 'utf-8' ? decodeUtf8(bytes) : decodeCharset(bytes, name);
    if (text !== undefined) texts.add(text);
  }
  return [...texts];
}

/** UTF-8 without its byte order mark and without a last character that was cut in the middle. */
function decodeUtf8(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes, { stream: true });
}

/** By byte order mark, or by the NULs that ASCII characters leave beside them (RFC 4627, 3). */
function wideNames(bytes: Uint8Array): string[] {
  const [first, second, third, fourth] = bytes;
  if (first === undefined || second === undefined) return [];
  const names: string[] = [];
  if ((first === 0xff && second === 0xfe) || (first !== 0 && second === 0)) names.push('utf-16le');
  if ((first === 0xfe && second === 0xff) || (first === 0 && second !== 0)) names.push('utf-16be');
  // UTF-16 with a NUL in it begins like this, too.
  const isUtf32 = first === 0 ? second === 0 || third === 0xff : third === 0 && fourth === 0;
  if (isUtf32) names.push('utf-32');
  return names;
}

/** What XML says of itself in its first line. */
function xmlEncoding(bytes: Uint8Array): string | undefined {
  // <?
  if (bytes[0] !== 0x3c || bytes[1] !== 0x3f) return undefined;
  const start = Buffer.from(bytes.subarray(0, 200)).toString('latin1');
  return /^<\?xml\s[^>]*?encoding\s*=\s*["']([\w.:-]+)/i.exec(start)?.[1]?.toLowerCase();
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
 * of forms, XML.
 */
export function rawTexts(text: string): string[] {
  const texts = [text];
  if (text.includes('\\')) texts.push(unescapeJson(text));
  if (text.includes('%')) texts.push(decodeUrlEncoded(text));
  if (/^\s*</.test(text.slice(0, 1024))) texts.push(readXmlText(text));
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
    /\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|([bfnrt"\\/']))/g,
    (_, unit: string | undefined, byte: string | undefined, short: string) =>
      short === undefined
        ? String.fromCharCode(Number.parseInt(unit ?? byte ?? '', 16))
        : (shortEscapes[short] ?? short),
  );
}
