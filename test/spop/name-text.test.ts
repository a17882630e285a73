import { Buffer } from 'node:buffer';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nameText } from '../../src/spop/name-text.ts';
import { name } from './arbitraries.ts';

/** Names of which many have the same length, first and last byte, and so the same place. */
const alike = fc
  .uint8Array({ minLength: 2, maxLength: 3 })
  .map((middle) => `s${Buffer.from(middle).toString('latin1')}d`);

describe('the text of a name', () => {
  it('is that of its bytes, whatever names came before', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(name, alike), { minLength: 1, maxLength: 50 }),
        fc.nat(9),
        (names, offset) => {
          for (const each of [...names, ...names]) {
            const bytes = Buffer.from(`${'-'.repeat(offset)}${each}---`, 'latin1');
            expect(nameText(bytes, offset, each.length)).toBe(each);
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  it('is the text of last time when the bytes are the same, up to 32 of them', () => {
    const [kept, long] = [Buffer.from('x'.repeat(32)), Buffer.from('x'.repeat(33))];
    expect(nameText(kept, 0, 32)).toBe('x'.repeat(32));
    expect(nameText(long, 0, 33)).toBe('x'.repeat(33));
    kept[31] = 0x79;
    expect(nameText(kept, 0, 32)).toBe(`${'x'.repeat(31)}y`);
  });
});
