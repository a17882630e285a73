/**
 * The promise of src/http1: whatever bytes arrive, in whatever pieces, they end in requests or in one refusal, in
 * bounded memory.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cut, places } from '../spop/arbitraries.ts';
import { read, request } from './requests.ts';

const maxHeadBytes = 600;

/** What proxies send, what nobody sends, and noise. */
const piece: fc.Arbitrary<Buffer> = fc.oneof(
  request.map(({ bytes }) => bytes),
  fc
    .constantFrom(
      'GET / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello',
      'POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\nwhat is this',
      'POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n',
      'POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n',
      'GET / HTTP/1.0\r\n\r\n',
      'GET /\r\n\r\n',
      `GET / HTTP/1.1\r\nLong: ${'x'.repeat(700)}\r\n\r\n`,
      '\r\n\r\n',
      'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    )
    .map((text) => Buffer.from(text)),
  fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
);

const stream = fc
  .tuple(fc.array(piece, { maxLength: 6 }), fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 }))
  .map(([pieces, flips]) => {
    const whole = Buffer.concat(pieces);
    for (const [place, value] of flips) if (whole.length > 0) whole[place % whole.length] = value;
    return whole;
  });

describe('any bytes', () => {
  it('give the same requests however they are cut, but for what came after the framing was lost', () => {
    fc.assert(
      fc.property(stream, places, (bytes, where) => {
        const whole = read([bytes], { maxHeadBytes, ends: true });
        const inPieces = [
          read(cut(bytes, where), { maxHeadBytes, ends: true }),
          read(
            Array.from(bytes, (_, at) => bytes.subarray(at, at + 1)),
            { maxHeadBytes, ends: true },
          ),
        ];
        for (const { requests, refused } of inPieces) {
          expect(refused).toBe(whole.refused);
          expect(requests.length).toBe(whole.requests.length);
          for (const [index, told] of requests.entries()) {
            const other = whole.requests[index];
            const lost = refused !== undefined && index === requests.length - 1 && !told.complete;
            expect(lost ? { ...told, body: '' } : told).toEqual(lost ? { ...other, body: '' } : other);
            if (lost) expect(other?.body.startsWith(told.body)).toBe(true);
          }
        }
      }),
      { numRuns: 500 },
    );
  });

  it('keep no more than one head, or its trailers and a line', () => {
    fc.assert(
      fc.property(stream, places, (bytes, where) => {
        const { mostKept } = read(cut(bytes, where), { maxHeadBytes });
        expect(mostKept).toBeLessThanOrEqual(2 * maxHeadBytes + 16 * 1024);
      }),
      { numRuns: 300 },
    );
  });

  it('are never read on after a refusal', () => {
    fc.assert(
      fc.property(stream, stream, (bytes, more) => {
        const once = read([bytes], { maxHeadBytes });
        if (once.refused === undefined) return;
        expect(read([bytes, more], { maxHeadBytes })).toEqual(once);
      }),
      { numRuns: 300 },
    );
  });
});

describe('requests one behind the other', () => {
  it('are told as they were sent', () => {
    fc.assert(
      fc.property(fc.array(request, { maxLength: 5 }), places, (sent, where) => {
        const bytes = Buffer.concat(sent.map((one) => one.bytes));
        const { requests, refused } = read(cut(bytes, where), { maxHeadBytes: 100_000 });
        expect(refused).toBeUndefined();
        expect(requests).toEqual(sent.map(({ told }) => told));
      }),
      { numRuns: 500 },
    );
  });
});
