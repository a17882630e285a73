/** Blind: what real HAProxy processes sent, with bytes changed, moved, doubled and lost. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { cut, places } from '../test/spop/arbitraries.ts';
import { endings, type Session } from './session.ts';

const folder = join(import.meta.dirname, '..', 'test', 'fixtures', 'spop-captures');

/** See capture.ts. */
export const captures: readonly { readonly name: string; readonly bytes: Buffer }[] = readdirSync(folder)
  .sort()
  .map((name) => ({ name, bytes: readFileSync(join(folder, name)) }));

/** One change; `at` and `to` are places, modulo the length. */
interface Mutation {
  readonly kind: 'flip' | 'set' | 'insert' | 'delete' | 'double' | 'truncate' | 'splice';
  readonly at: number;
  readonly to: number;
  readonly value: number;
}

const mutation: fc.Arbitrary<Mutation> = fc.record({
  kind: fc.constantFrom('flip', 'set', 'insert', 'delete', 'double', 'truncate', 'splice'),
  at: fc.nat(10_000),
  to: fc.nat(10_000),
  value: fc.oneof(fc.nat(255), fc.constantFrom(0, 0x7f, 0x80, 0xef, 0xf0, 0xff)),
});

export function mutate(bytes: Buffer, mutations: readonly Mutation[], other: Buffer): Buffer {
  return mutations.reduce<Buffer>((whole, change) => applied(whole, change, other), Buffer.from(bytes));
}

function applied(
  whole: Buffer,
  { kind, at: anywhere, to: elsewhere, value }: Mutation,
  other: Buffer,
): Buffer {
  if (whole.length === 0) return whole;
  const at = anywhere % whole.length;
  const length = 1 + (elsewhere % 64);
  const copy = Buffer.from(whole);
  switch (kind) {
    case 'flip':
      copy[at] = (copy[at] ?? 0) ^ (1 << (value % 8));
      return copy;
    case 'set':
      copy[at] = value;
      return copy;
    case 'insert':
      return Buffer.concat([whole.subarray(0, at), Buffer.alloc(length, value), whole.subarray(at)]);
    case 'delete':
      return Buffer.concat([whole.subarray(0, at), whole.subarray(at + length)]);
    case 'double':
      return Buffer.concat([whole.subarray(0, at + length), whole.subarray(at)]);
    case 'truncate':
      return whole.subarray(0, at);
    case 'splice':
      return Buffer.concat([whole.subarray(0, at), other.subarray(elsewhere % (other.length + 1))]);
  }
}

export const blindSession: fc.Arbitrary<Session> = fc
  .record({
    capture: fc.constantFrom(...captures),
    other: fc.constantFrom(...captures),
    mutations: fc.array(mutation, { minLength: 1, maxLength: 6 }),
    places,
    ending: fc.constantFrom(...endings),
  })
  .map(({ capture, other, mutations, places: where, ending }) => ({
    plan: `${capture.name} (${other.name}) ${JSON.stringify(mutations)}`,
    chunks: cut(mutate(capture.bytes, mutations, other.bytes), where).filter(({ length }) => length > 0),
    ending,
  }));
