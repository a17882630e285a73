/*
 * Text with or without a byte order mark. PowerShell and Notepad write one, in UTF-8 or UTF-16, and JSON.parse would
 * treat it as a character.
 */

export interface DecodedText {
  /** Without a byte order mark. */
  readonly text: string;
  /** Some bytes were no UTF-8 (Latin-1, mostly) and became U+FFFD. */
  readonly malformed: boolean;
}

export function decodeText(bytes: Uint8Array): DecodedText {
  const encoding = encodingOf(bytes);
  try {
    return { text: new TextDecoder(encoding, { fatal: true }).decode(bytes), malformed: false };
  } catch {
    return { text: new TextDecoder(encoding).decode(bytes), malformed: true };
  }
}

function encodingOf([first, second]: Uint8Array): string {
  if (first === 0xff && second === 0xfe) return 'utf-16le';
  if (first === 0xfe && second === 0xff) return 'utf-16be';
  return 'utf-8';
}
