/*
 * Bytes to text by the name of a charset. Besides those of the WHATWG encoding standard, the ones that servers decode
 * all the same and in which ASCII does not look like ASCII: UTF-7 and UTF-32 (Express by way of iconv-lite, Python,
 * PHP) and EBCDIC (Java, Python, .NET).
 */

const utf8Names: ReadonlySet<string> = new Set(['utf-8', 'utf8', 'us-ascii', 'ascii']);

/**
 * The charsets that a label may mean to a recipient, besides UTF-8, in which everything is read anyway: senders and
 * recipients differ in what the order of bytes is in UTF-16 without a byte order mark.
 */
export function charsetsOf(label: string | undefined): string[] {
  if (label === undefined || utf8Names.has(label)) return [];
  return label === 'utf-16' ? ['utf-16be', 'utf-16le'] : [label];
}

/**
 * A last character that was cut in the middle is left out. Never throws.
 * @param label in lower case
 * @returns undefined when there is no decoder for this label
 */
export function decodeCharset(bytes: Uint8Array, label: string): string | undefined {
  try {
    return new TextDecoder(label).decode(bytes, { stream: true });
  } catch {
    return otherDecoders.find(([names]) => names.test(label))?.[1](bytes, label);
  }
}

type Decode = (bytes: Uint8Array, label: string) => string;

const otherDecoders: readonly (readonly [names: RegExp, decode: Decode])[] = [
  [/utf-?7|^cp65000$/, decodeUtf7],
  [/utf-?32|ucs-?4/, decodeUtf32],
  [/ibm|cp|ebcdic/, decodeEbcdic],
];

/** RFC 2152: UTF-16 in base64 between `+` and whatever is no base64, a `-` there belonging to it; `+-` is `+`. */
function decodeUtf7(bytes: Uint8Array): string {
  const text = Buffer.from(bytes).toString('latin1');
  return text.replace(/\+([A-Za-z0-9+/]*)-?/g, (_, base64: string) => {
    const units = Buffer.from(base64, 'base64');
    return base64 === ''
      ? '+'
      : units
          .subarray(0, units.length & ~1)
          .swap16()
          .toString('utf16le');
  });
}

/** The order of bytes shows: no character needs the highest one. */
function decodeUtf32(bytes: Uint8Array, label: string): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const isLittleEndian = label.endsWith('le') || (bytes[0] ?? 0) !== 0;
  let text = '';
  for (let at = 0; at + 4 <= bytes.length; at += 4) {
    const code = view.getUint32(at, isLittleEndian);
    text += code <= 0x10ffff ? String.fromCodePoint(code) : '\ufffd';
  }
  return text;
}

/** Of code page 37; others differ in brackets and the like, not in letters, digits and most punctuation. */
const ebcdicRanges: readonly (readonly [first: number, characters: string])[] = [
  ...[[0x05, '\t'] as const, [0x0d, '\r'] as const, [0x15, '\n'] as const, [0x25, '\n'] as const],
  ...[[0x40, ' '] as const, [0x4b, '.<(+|&'] as const, [0x5a, '!$*);'] as const, [0x60, '-/'] as const],
  ...[[0x6b, ',%_>?'] as const, [0x79, '`:#@\'="'] as const, [0x81, 'abcdefghi'] as const],
  ...[
    [0x91, 'jklmnopqr'] as const,
    [0xa1, '~stuvwxyz'] as const,
    [0xb0, '^'] as const,
    [0xba, '[]'] as const,
  ],
  ...[[0xc0, '{ABCDEFGHI'] as const, [0xd0, '}JKLMNOPQR'] as const, [0xe0, '\\'] as const],
  ...[[0xe2, 'STUVWXYZ'] as const, [0xf0, '0123456789'] as const],
];

const ebcdic: readonly string[] = ebcdicRanges.reduce<string[]>((table, [first, characters]) => {
  for (const [index, character] of [...characters].entries()) table[first + index] = character;
  return table;
}, new Array<string>(256).fill('\ufffd'));

function decodeEbcdic(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += ebcdic[byte] ?? '';
  return text;
}
