import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { resolveClientIp } from '../../src/engine/client-ip.ts';
import type { HeaderList } from '../../src/engine/http.ts';
import { growthOf, inProportion } from '../support/growth.ts';

const peer = '10.0.0.1';

describe('the client address', () => {
  const cases: [string, HeaderList, string | undefined][] = [
    ['is the peer without any field', [], peer],
    ['is the left-most global address', [['x-forwarded-for', '10.1.1.1, 8.8.8.8, 9.9.9.9']], '8.8.8.8'],
    [
      'is taken from fields in Datadog’s order',
      [
        ['cf-connecting-ip', '1.1.1.1'],
        ['x-real-ip', '8.8.8.8'],
        ['true-client-ip', '9.9.9.9'],
      ],
      '8.8.8.8',
    ],
    [
      'is a global one of a later field before a private one of an earlier',
      [
        ['x-forwarded-for', '192.168.1.1'],
        ['x-client-ip', '8.8.8.8'],
      ],
      '8.8.8.8',
    ],
    [
      'is the first private one when there is no global one',
      [['x-forwarded-for', '192.168.1.1, 172.16.0.1']],
      '192.168.1.1',
    ],
    ['loses its port', [['x-forwarded-for', '8.8.8.8:1234']], '8.8.8.8'],
    ['loses brackets and port', [['x-forwarded-for', '[2001:4860::8888]:443']], '2001:4860::8888'],
    ['loses the zone', [['x-forwarded-for', 'fe80::1%eth0']], 'fe80::1'],
    ['is IPv4 when mapped into IPv6', [['x-forwarded-for', '::ffff:8.8.8.8']], '8.8.8.8'],
    [
      'is private when a private one is mapped into IPv6',
      [['x-forwarded-for', '::ffff:10.2.3.4, 8.8.4.4']],
      '8.8.4.4',
    ],
    ['is written in the canonical way', [['x-forwarded-for', '2001:4860:0:0:0:0:0:8888']], '2001:4860::8888'],
    [
      'is read from repeated fields',
      [
        ['x-forwarded-for', 'junk'],
        ['x-forwarded-for', '8.8.8.8'],
      ],
      '8.8.8.8',
    ],
    ['is found behind junk', [['x-forwarded-for', 'unknown, , 999.1.1.1, 0x7f.1, 8.8.8.8']], '8.8.8.8'],
    ['is read from Forwarded', [['forwarded', 'by=1.2.3.4;for=8.8.8.8;proto=http, for=9.9.9.9']], '8.8.8.8'],
    ['is read from a quoted Forwarded', [['forwarded', 'For="[2001:4860::8888]:4711"']], '2001:4860::8888'],
    [
      'is no obfuscated identifier',
      [['forwarded', 'for=_hidden, for=unknown, for="_x:80", for=8.8.8.8']],
      '8.8.8.8',
    ],
    ['is not torn out of a quoted string', [['forwarded', 'host="a,for=1.1.1.1";for=8.8.8.8']], '8.8.8.8'],
  ];
  for (const [behaviour, headers, expected] of cases) {
    it(behaviour, () => expect(resolveClientIp(headers, peer)).toBe(expected));
  }

  it('is the peer when the peer is global and the fields name only private ones', () => {
    expect(resolveClientIp([['x-forwarded-for', '10.0.0.9']], '8.8.8.8')).toBe('8.8.8.8');
  });

  for (const address of [
    '10.1.2.3',
    '172.31.0.1',
    '192.168.0.1',
    '127.0.0.1',
    '169.254.1.1',
    '100.64.0.1',
    '::1',
    'fd00::1',
    'fe80::1',
    'fec0::1',
    '0.0.0.0',
    '::',
  ]) {
    it(`does not hold ${address} to be global`, () => {
      expect(resolveClientIp([['x-forwarded-for', `${address}, 8.8.8.8`]], peer)).toBe('8.8.8.8');
    });
  }

  it('is read from the configured field only', () => {
    const headers: HeaderList = [
      ['x-forwarded-for', '8.8.8.8'],
      ['x-mine', '9.9.9.9'],
    ];
    expect(resolveClientIp(headers, peer, { header: 'X-Mine' })).toBe('9.9.9.9');
    expect(resolveClientIp(headers, peer, { header: 'x-absent' })).toBe(peer);
  });

  it('is undefined when nothing names an address', () => {
    expect(resolveClientIp([['x-real-ip', 'junk']], undefined)).toBe(undefined);
    expect(resolveClientIp([], '/run/socket')).toBe(undefined);
  });

  it('is an address or undefined, whatever the fields hold', () => {
    const name = fc.constantFrom('x-forwarded-for', 'forwarded', 'x-real-ip', 'host');
    const piece = fc.oneof(
      fc.string(),
      fc.ipV4(),
      fc.ipV6(),
      fc.constantFrom('for=', '"', '[', ']', ':', ',', ';', '%', '\\', ' '),
    );
    const value = fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join(''));
    fc.assert(
      fc.property(fc.array(fc.tuple(name, value)), fc.option(value, { nil: undefined }), (headers, from) => {
        const found = resolveClientIp(headers, from);
        expect(found === undefined || /^[\d.]+$|^[\da-f:.]+$/.test(found)).toBe(true);
      }),
    );
  });

  it.each(
    ['for="', 'for=', 'for ', '\\"', ',', '[', 'for="\\', '1.1.1.1:', '"'].flatMap((hostile) => [
      ['forwarded', hostile],
      ['x-forwarded-for', hostile],
    ]),
  )('of a field %s of many times %j takes work in proportion to it', async (name = '', hostile = '') => {
    const work = (size: number): unknown => resolveClientIp([[name, hostile.repeat(size)]], peer);
    expect(await growthOf(work, 10_000)).toBeLessThan(inProportion);
  });
});
