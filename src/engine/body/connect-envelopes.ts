/** One byte of flags, four with the length of the message, most significant first. */
const prefixBytes = 5;
/** Flags: nothing, or the end of the stream. Another one says that the message is compressed. */
const plainFlags: ReadonlySet<number | undefined> = new Set([0, 2]);
const space = 0x20;

/**
 * The messages of a Connect stream, with blanks in the place of what envelops them: JSON documents one after the other.
 * Bytes that are no envelope stay as they are, and so does whatever follows them.
 */
export function withoutEnvelopes(bytes: Uint8Array): Uint8Array {
  let opened: Buffer | undefined;
  let at = 0;
  while (at + prefixBytes <= bytes.length && plainFlags.has(bytes[at])) {
    opened ??= Buffer.from(bytes);
    const length = opened.readUInt32BE(at + 1);
    opened.fill(space, at, at + prefixBytes);
    at += prefixBytes + length;
  }
  return opened ?? bytes;
}
