import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeHdrsBin, encodeHdrsBin } from '../../../src/adapters/haproxy/hdrs-bin.ts';
import type { HeaderList } from '../../../src/engine/http.ts';
import { SpopError } from '../../../src/spop/index.ts';

const anyHeader = fc.tuple(
  fc.string({ minLength: 1, maxLength: 300 }).map((name) => name.toLowerCase()),
  fc.string({ maxLength: 3000 }),
);

describe('a binary header list', () => {
  it('comes back as it was encoded', () => {
    fc.assert(
      fc.property(fc.array(anyHeader), (headers) => {
        expect(decodeHdrsBin(encodeHdrsBin(headers))).toEqual({ headers, problem: undefined });
      }),
    );
  });

  it('of any bytes never throws, and yields what came before the problem', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 500 }), (bytes) => {
        const { problem } = decodeHdrsBin(Buffer.from(bytes));
        if (problem !== undefined) expect(problem).toBeInstanceOf(SpopError);
      }),
    );
  });

  it('cut off anywhere keeps the fields that are whole', () => {
    const headers: HeaderList = [
      ['host', 'shop.test'],
      ['accept', '*/*'],
      ['cookie', 'a=b'],
    ];
    const bytes = encodeHdrsBin(headers);
    for (let length = 0; length < bytes.length; length += 1) {
      const decoded = decodeHdrsBin(bytes.subarray(0, length)).headers;
      expect(headers.slice(0, decoded.length)).toEqual(decoded);
    }
    expect(decodeHdrsBin(bytes.subarray(0, -2)).headers).toEqual(headers);
  });

  it('is read to its end mark and no further', () => {
    const bytes = Buffer.concat([encodeHdrsBin([['a', '1']]), encodeHdrsBin([['b', '2']])]);
    expect(decodeHdrsBin(bytes).headers).toEqual([['a', '1']]);
  });

  it('keeps repeated fields, empty values and __proto__, and lowers names', () => {
    const bytes = encodeHdrsBin([
      ['X-A', '1'],
      ['x-a', ''],
      ['__proto__', 'polluted'],
    ]);
    expect(decodeHdrsBin(bytes).headers).toEqual([
      ['x-a', '1'],
      ['x-a', ''],
      ['__proto__', 'polluted'],
    ]);
  });
});
