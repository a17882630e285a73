/** fast-check generators: one for every type that can be on the wire. */
import { Buffer } from 'node:buffer';
import fc from 'fast-check';
import {
  type Action,
  ByteWriter,
  encodeMessages,
  type SpoeMessageInput,
  type TypedData,
  type Uint64,
  type VariableScope,
} from '../../src/spop/index.ts';

const compact = (value: bigint): Uint64 => (Number.isSafeInteger(Number(value)) ? Number(value) : value);

/** Unsigned 64-bit integers, dense around every boundary of the encoding. */
export const uint64: fc.Arbitrary<Uint64> = fc
  .oneof(
    fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    fc.bigInt({ min: 0n, max: 300n }),
    fc
      .tuple(fc.integer({ min: 0, max: 63 }), fc.bigInt({ min: -300n, max: 300n }))
      .map(([bits, offset]) => 2n ** BigInt(bits) + offset)
      .filter((value) => value >= 0n),
    fc.bigInt({ min: 2n ** 53n - 3n, max: 2n ** 53n + 3n }),
  )
  .map(compact);

export const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(compact);

export const bytes: fc.Arbitrary<Buffer> = fc
  .uint8Array({ maxLength: 600 })
  .map((array) => Buffer.from(array));

/** Names are bytes: any character up to U+00FF. */
export const name: fc.Arbitrary<string> = fc
  .uint8Array({ maxLength: 300 })
  .map((array) => Buffer.from(array).toString('latin1'));

export const ipv4 = fc
  .tuple(fc.nat(255), fc.nat(255), fc.nat(255), fc.nat(255))
  .map((parts) => parts.join('.'));

/** Sixteen bytes with many zeros, where the text of IPv6 is difficult. */
export const ipv6Bytes: fc.Arbitrary<Buffer> = fc
  .array(fc.oneof(fc.constant(0), fc.constant(0xffff), fc.integer({ min: 0, max: 0xffff })), {
    minLength: 8,
    maxLength: 8,
  })
  .map((groups) => Buffer.from(groups.flatMap((group) => [group >> 8, group & 0xff])));

/** One value of each of the ten types, but ipv6, whose text is tested by itself. */
export const typedData: fc.Arbitrary<TypedData> = fc.oneof(
  fc.constant<TypedData>({ type: 'null', value: null }),
  fc.boolean().map((value): TypedData => ({ type: 'boolean', value })),
  fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }).map((value): TypedData => ({ type: 'int32', value })),
  fc.integer({ min: 0, max: 2 ** 32 - 1 }).map((value): TypedData => ({ type: 'uint32', value })),
  int64.map((value): TypedData => ({ type: 'int64', value })),
  uint64.map((value): TypedData => ({ type: 'uint64', value })),
  ipv4.map((value): TypedData => ({ type: 'ipv4', value })),
  fc
    .constantFrom('::', '::1', '2001:db8::1', '::ffff:1.2.3.4')
    .map((value): TypedData => ({ type: 'ipv6', value })),
  bytes.map((value): TypedData => ({ type: 'string', value })),
  bytes.map((value): TypedData => ({ type: 'binary', value })),
);

export const message: fc.Arbitrary<SpoeMessageInput> = fc.record({
  name,
  args: fc.array(fc.record({ name, value: typedData }), { maxLength: 12 }),
});

/** A value as bytes: any type, right or reserved, with any flags, before any 64 bits, right bytes or any bytes. */
export const typedBytes: fc.Arbitrary<Buffer> = fc
  .tuple(fc.nat(255), fc.oneof(uint64, fc.uint8Array({ maxLength: 24 })))
  .map(([head, value]) => {
    const writer = new ByteWriter();
    writer.uint8(head);
    if (value instanceof Uint8Array) writer.bytes(value);
    else writer.varint(value);
    return writer.take();
  });

/** NOTIFY payloads of right messages of which some bytes were replaced by others, or by a value of any type. */
export const mutatedPayload: fc.Arbitrary<Buffer> = fc
  .tuple(
    fc.array(message, { maxLength: 3 }),
    fc.array(
      fc.tuple(
        fc.nat(),
        fc.oneof(
          typedBytes,
          bytes.map((some) => some.subarray(0, 3)),
        ),
      ),
      { maxLength: 3 },
    ),
  )
  .map(([messages, changes]) => {
    let payload = encodeMessages(messages);
    for (const [seed, change] of changes) {
      const place = seed % (payload.length + 1);
      payload = Buffer.concat([payload.subarray(0, place), change, payload.subarray(place + change.length)]);
    }
    return payload;
  });

export const scope: fc.Arbitrary<VariableScope> = fc.constantFrom('proc', 'sess', 'txn', 'req', 'res');

export const action: fc.Arbitrary<Action> = fc.oneof(
  fc.record({ kind: fc.constant('set-var' as const), scope, name, value: typedData }),
  fc.record({ kind: fc.constant('unset-var' as const), scope, name }),
);

/** Cuts bytes at the given places, in whatever order they come. */
export function cut(whole: Buffer, places: readonly number[]): Buffer[] {
  const sorted = [0, ...places.map((place) => place % (whole.length + 1)), whole.length].sort(
    (a, b) => a - b,
  );
  return sorted.slice(1).map((end, index) => whole.subarray(sorted[index], end));
}

/** Ways to cut a stream of bytes. */
export const places = fc.array(fc.nat(100_000), { maxLength: 30 });

/** Pieces one after the other, behind `hello` or not, some bytes of which may be flipped. */
export function streamOf(hello: Buffer, piece: fc.Arbitrary<Buffer>): fc.Arbitrary<Buffer> {
  return fc
    .tuple(
      fc.boolean(),
      fc.array(piece, { maxLength: 10 }),
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 }),
    )
    .map(([withHello, pieces, flips]) => {
      const whole = Buffer.concat(withHello ? [hello, ...pieces] : pieces);
      for (const [place, value] of flips) if (whole.length > 0) whole[place % whole.length] = value;
      return whole;
    });
}
