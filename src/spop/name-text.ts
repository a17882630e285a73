/**
 * Names of messages and arguments as text. A configuration of HAProxy has some twenty of them, and each NOTIFY brings them
 * again: to compare bytes with the text of last time takes a quarter of what making it anew takes.
 */
import type { Buffer } from 'node:buffer';

/** A power of two. Names that fall together only take turns. */
const SLOTS = 256;

/** Longer names are nobody's; they are not kept. */
const LONGEST_KEPT = 32;

const recent = new Array<string>(SLOTS).fill('');

/** The latin1 text of `length` bytes from `start` on, which must be there. */
export function nameText(bytes: Buffer, start: number, length: number): string {
  if (length === 0) return '';
  const end = start + length;
  if (length > LONGEST_KEPT) return bytes.toString('latin1', start, end);
  const slot = (length * 7 + (bytes[start] ?? 0) * 31 + (bytes[end - 1] ?? 0)) & (SLOTS - 1);
  const kept = recent[slot];
  if (kept !== undefined && isText(bytes, start, length, kept)) return kept;
  const text = bytes.toString('latin1', start, end);
  recent[slot] = text;
  return text;
}

function isText(bytes: Buffer, start: number, length: number, text: string): boolean {
  if (text.length !== length) return false;
  for (let index = 0; index < length; index += 1) {
    if (bytes[start + index] !== text.charCodeAt(index)) return false;
  }
  return true;
}
