import { Buffer } from 'node:buffer';
import { isIPv4, isIPv6 } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ipv4FromText, ipv4ToText, ipv6FromText, ipv6ToText } from '../../src/spop/ip-text.ts';
import { ipv4, ipv6Bytes } from './arbitraries.ts';

/** RFC 5952, sections 4 and 5. */
const GOLDEN: readonly [bytes: string, text: string][] = [
  ['00000000000000000000000000000000', '::'],
  ['00000000000000000000000000000001', '::1'],
  ['00010000000000000000000000000000', '1::'],
  ['20010db8000000000000000000000001', '2001:db8::1'],
  ['20010db8000000010001000100010001', '2001:db8:0:1:1:1:1:1'],
  ['20010000000000010000000000000001', '2001:0:0:1::1'],
  ['20010db8000000000001000000000001', '2001:db8::1:0:0:1'],
  ['20010db8aaaabbbbccccddddeeeeffff', '2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff'],
  ['00000000000000000000ffffc0000201', '::ffff:192.0.2.1'],
];

describe('IP addresses as text', () => {
  it.each(GOLDEN)('%s is %s', (hex, text) => {
    expect(ipv6ToText(Buffer.from(hex, 'hex'))).toBe(text);
    expect(ipv6FromText(text).toString('hex')).toBe(hex);
  });

  it('brings all sixteen bytes back from a text that Node takes for an address', () => {
    fc.assert(
      fc.property(ipv6Bytes, (bytes) => {
        const text = ipv6ToText(bytes);
        expect(isIPv6(text)).toBe(true);
        expect(ipv6FromText(text)).toEqual(bytes);
      }),
    );
  });

  it('brings all four bytes back', () => {
    fc.assert(
      fc.property(ipv4, (text) => {
        expect(ipv4ToText(ipv4FromText(text))).toBe(text);
      }),
    );
  });

  it.each(['0:0:0:0:0:0:0:1', '2001:DB8::1', '::1.2.3.4', '1:2:3:4:5:6:7::'])('reads %s too', (text) => {
    expect(ipv6FromText(text)).toHaveLength(16);
  });

  it.each([
    '',
    ':',
    ':::',
    '1',
    '1:2',
    '1::2::3',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7:8::',
    '12345::',
    'g::',
    '::1.2.3',
    '1.2.3.4::',
    '::1.2.3.4:1',
    '::256.1.1.1',
    ':1::',
    '1::2:',
  ])('refuses %j as IPv6, as Node does', (text) => {
    expect(isIPv6(text)).toBe(false);
    expect(() => ipv6FromText(text)).toThrow(RangeError);
  });

  it.each(['', '1.2.3', '1.2.3.4.5', '1.2.3.256', '01.2.3.4', '1.2.3.a', ' 1.2.3.4'])(
    'refuses %j as IPv4, as Node does',
    (text) => {
      expect(isIPv4(text)).toBe(false);
      expect(() => ipv4FromText(text)).toThrow(RangeError);
    },
  );

  it('refuses a zone, which has no place in sixteen bytes', () => {
    expect(() => ipv6FromText('fe80::1%eth0')).toThrow(RangeError);
  });

  it('agrees with Node on what an IPv6 address is, for text close to one', () => {
    const close = fc.string({ unit: fc.constantFrom('0', '1', 'f', ':', '::', '.', '255'), maxLength: 14 });
    fc.assert(
      fc.property(close, (text) => {
        let accepted = true;
        try {
          ipv6FromText(text);
        } catch {
          accepted = false;
        }
        expect(accepted).toBe(isIPv6(text));
      }),
      { numRuns: 2_000 },
    );
  });
});
