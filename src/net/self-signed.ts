/**
 * A certificate made at start, for a door whose TLS is on and that was given none: nobody else has its key, it never
 * touches a disk, and it is another one after each start. It encrypts; it proves nothing to who does not pin it.
 *
 * node:crypto makes keys and signatures and no certificates, so the forty lines of X.509 (RFC 5280) that one needs are
 * written here, in DER (X.690). A library for it would be a dependency in the way of every key of the process.
 */
import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { isIP } from 'node:net';
import type { TlsIdentity } from './tls.ts';

const dayMs = 86_400_000;
/** A process that runs for longer is to be given a certificate of somebody's. Clocks may differ by a day. */
const validDays = 825;

/** Names beside the usual ones, by which clients may reach us. */
export interface SelfSignedOptions {
  readonly names?: readonly string[];
  /** Undefined: now. */
  readonly nowMs?: number | undefined;
}

/**
 * An ECDSA key on P-256 and its certificate, for `localhost`, 127.0.0.1, ::1 and `names`.
 * @throws RangeError when a name is empty or holds anything but printable ASCII
 */
export function selfSignedIdentity({ names = [], nowMs = Date.now() }: SelfSignedOptions = {}): TlsIdentity {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const all = [...new Set(['localhost', '127.0.0.1', '::1', ...names])];
  return {
    certificate: pem('CERTIFICATE', certificate(all, publicKey, privateKey, nowMs)),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    ca: undefined,
  };
}

/** Tags of X.690 and of the choices in RFC 5280. */
const Tag = {
  BOOLEAN: 0x01,
  INTEGER: 0x02,
  BIT_STRING: 0x03,
  OCTET_STRING: 0x04,
  OBJECT_IDENTIFIER: 0x06,
  UTF8_STRING: 0x0c,
  UTC_TIME: 0x17,
  GENERALIZED_TIME: 0x18,
  SEQUENCE: 0x30,
  SET: 0x31,
  DNS_NAME: 0x82,
  IP_ADDRESS: 0x87,
  VERSION: 0xa0,
  EXTENSIONS: 0xa3,
} as const;

function certificate(names: readonly string[], publicKey: KeyObject, key: KeyObject, nowMs: number): Buffer {
  const ecdsaWithSha256 = sequence(oid(1, 2, 840, 10_045, 4, 3, 2));
  const commonName = sequence(
    der(Tag.SET, sequence(oid(2, 5, 4, 3), der(Tag.UTF8_STRING, Buffer.from('localhost')))),
  );
  const body = sequence(
    der(Tag.VERSION, integer(Buffer.from([2]))),
    // At least 64 bits of chance, positive and without leading zeros.
    integer(Buffer.concat([Buffer.from([0x40]), randomBytes(15)])),
    ecdsaWithSha256,
    commonName,
    sequence(time(nowMs - dayMs), time(nowMs + validDays * dayMs)),
    commonName,
    publicKey.export({ type: 'spki', format: 'der' }),
    der(Tag.EXTENSIONS, sequence(...extensions(names))),
  );
  return sequence(body, ecdsaWithSha256, bitString(sign('sha256', body, key)));
}

function extensions(names: readonly string[]): Buffer[] {
  const extension = (id: Buffer, value: Buffer, isCritical: boolean): Buffer =>
    sequence(
      id,
      ...(isCritical ? [der(Tag.BOOLEAN, Buffer.from([0xff]))] : []),
      der(Tag.OCTET_STRING, value),
    );
  return [
    extension(oid(2, 5, 29, 17), sequence(...names.map(generalName)), false),
    // No CA: it can vouch for nothing but itself.
    extension(oid(2, 5, 29, 19), sequence(), true),
    // digitalSignature
    extension(oid(2, 5, 29, 15), der(Tag.BIT_STRING, Buffer.from([7, 0x80])), true),
    // serverAuth
    extension(oid(2, 5, 29, 37), sequence(oid(1, 3, 6, 1, 5, 5, 7, 3, 1)), false),
  ];
}

function generalName(name: string): Buffer {
  if (isIP(name) === 4) return der(Tag.IP_ADDRESS, Buffer.from(name.split('.').map(Number)));
  if (isIP(name) === 6) return der(Tag.IP_ADDRESS, ipv6Bytes(name));
  if (!/^[\x21-\x7e]+$/.test(name)) throw new RangeError(`'${name}' is no name for a certificate`);
  return der(Tag.DNS_NAME, Buffer.from(name));
}

/** @param address valid, without a zone */
function ipv6Bytes(address: string): Buffer {
  // The parser of URLs writes an address at its shortest: eight groups, or fewer around one "::".
  const shortest = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const [before = '', after] = shortest.split('::');
  const groups = (text: string): string[] => (text === '' ? [] : text.split(':'));
  const [head, tail] = [groups(before), groups(after ?? '')];
  const zeros = Array.from({ length: 8 - head.length - tail.length }, () => '0');
  const bytes = Buffer.alloc(16);
  for (const [index, group] of [...head, ...zeros, ...tail].entries()) {
    bytes.writeUInt16BE(Number.parseInt(group, 16), index * 2);
  }
  return bytes;
}

function der(tag: number, ...content: readonly Buffer[]): Buffer {
  const bytes = Buffer.concat(content);
  if (bytes.length < 0x80) return Buffer.concat([Buffer.from([tag, bytes.length]), bytes]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  const short = length.subarray(length.findIndex((byte) => byte !== 0));
  return Buffer.concat([Buffer.from([tag, 0x80 | short.length]), short, bytes]);
}

function sequence(...content: readonly Buffer[]): Buffer {
  return der(Tag.SEQUENCE, ...content);
}

/** @param bytes of a positive number, highest bit 0 */
function integer(bytes: Buffer): Buffer {
  return der(Tag.INTEGER, bytes);
}

function bitString(bytes: Buffer): Buffer {
  return der(Tag.BIT_STRING, Buffer.from([0]), bytes);
}

/** The first two numbers share a byte; each of the others takes seven bits a byte, the last without the highest bit. */
function oid(first: number, second: number, ...rest: readonly number[]): Buffer {
  const bytes = rest.flatMap((number) => {
    const groups = [number & 0x7f];
    for (let left = number >>> 7; left > 0; left >>>= 7) groups.unshift((left & 0x7f) | 0x80);
    return groups;
  });
  return der(Tag.OBJECT_IDENTIFIER, Buffer.from([first * 40 + second, ...bytes]));
}

/** RFC 5280 wants UTCTime for years before 2050, which has two digits of the year. */
function time(ms: number): Buffer {
  const digits = new Date(ms).toISOString().replace(/[-:T]|\.\d+/g, '');
  const isUtcTime = Number(digits.slice(0, 4)) < 2050;
  return isUtcTime
    ? der(Tag.UTC_TIME, Buffer.from(digits.slice(2)))
    : der(Tag.GENERALIZED_TIME, Buffer.from(digits));
}

function pem(label: string, bytes: Buffer): string {
  const lines = bytes.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}
