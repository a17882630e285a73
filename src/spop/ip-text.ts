/**
 * IP addresses between their bytes and their text. IPv6 is written as RFC 5952 asks: lower case, no
 * leading zeros, the longest run of two or more zero groups (the first of equals) as `::`, and
 * IPv4-mapped addresses with a dotted tail. Reading accepts every form of RFC 4291 2.2, without zones.
 */
import { Buffer } from 'node:buffer';

/** The text of four bytes. */
export function ipv4ToText(bytes: Uint8Array): string {
  return bytes.join('.');
}

/** @throws RangeError if the text is no dotted quad of decimal numbers without leading zeros. */
export function ipv4FromText(text: string): Buffer {
  const bytes = ipv4Bytes(text);
  if (bytes === undefined) throw new RangeError(`${JSON.stringify(text)} is no IPv4 address`);
  return Buffer.from(bytes);
}

/** The RFC 5952 text of sixteen bytes. */
export function ipv6ToText(bytes: Uint8Array): string {
  const groups = groupsOf(bytes);
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff) {
    return `::ffff:${ipv4ToText(bytes.subarray(12))}`;
  }
  const zeros = longestZeroRun(groups);
  const hex = (from: number, to?: number) =>
    groups
      .slice(from, to)
      .map((group) => group.toString(16))
      .join(':');
  if (zeros.length < 2) return hex(0);
  return `${hex(0, zeros.start)}::${hex(zeros.start + zeros.length)}`;
}

/** @throws RangeError if the text is no IPv6 address. */
export function ipv6FromText(text: string): Buffer {
  const refuse = () => new RangeError(`${JSON.stringify(text)} is no IPv6 address`);
  const halves = text.split('::');
  const head = groupBytes(halves[0] ?? '', halves.length === 1);
  const tail = groupBytes(halves[1] ?? '', true);
  if (halves.length > 2 || head === undefined || tail === undefined) throw refuse();
  const room = 16 - head.length - tail.length;
  const fits = halves.length === 2 ? room >= 2 : room === 0;
  if (!fits) throw refuse();
  return Buffer.from([...head, ...new Array<number>(room).fill(0), ...tail]);
}

function ipv4Bytes(text: string): number[] | undefined {
  const parts = text.split('.');
  const valid =
    parts.length === 4 && parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256);
  return valid ? parts.map(Number) : undefined;
}

/** The bytes of colon-separated groups; the last may be a dotted quad where `mayEndDotted`. */
function groupBytes(text: string, mayEndDotted: boolean): number[] | undefined {
  if (text === '') return [];
  const bytes: number[] = [];
  const groups = text.split(':');
  for (const [index, group] of groups.entries()) {
    if (/^[0-9a-f]{1,4}$/i.test(group)) {
      const value = Number.parseInt(group, 16);
      bytes.push(value >> 8, value & 0xff);
      continue;
    }
    const dotted = mayEndDotted && index === groups.length - 1 ? ipv4Bytes(group) : undefined;
    if (dotted === undefined) return undefined;
    bytes.push(...dotted);
  }
  return bytes;
}

function groupsOf(bytes: Uint8Array): number[] {
  return Array.from(
    { length: 8 },
    (_, index) => ((bytes[index * 2] ?? 0) << 8) | (bytes[index * 2 + 1] ?? 0),
  );
}

function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  let length = 0;
  for (const [index, group] of groups.entries()) {
    length = group === 0 ? length + 1 : 0;
    if (length > best.length) best = { start: index + 1 - length, length };
  }
  return best;
}
