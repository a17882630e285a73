import { Buffer } from 'node:buffer';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Action,
  decodeActions,
  decodeFrame,
  encodeAck,
  encodeActions,
  encodedActionSize,
  SpopError,
} from '../../src/spop/index.ts';
import { action, scope, uint64 } from './arbitraries.ts';

const actions = fc.array(action, { maxLength: 10 });

describe('actions', () => {
  it.each<[string, Action, string]>([
    [
      'set-var',
      { kind: 'set-var', scope: 'txn', name: 'blocked', value: { type: 'boolean', value: true } },
      '010302' + '07626c6f636b6564' + '11',
    ],
    [
      'set-var to false',
      { kind: 'set-var', scope: 'sess', name: 'x', value: { type: 'boolean', value: false } },
      '010301' + '0178' + '01',
    ],
    [
      'unset-var, which has no value',
      { kind: 'unset-var', scope: 'res', name: 'body' },
      '020204' + '04626f6479',
    ],
  ])('%s is encoded and decoded as in SPOE.txt 3.4', (_, one, hex) => {
    expect(encodeActions([one]).toString('hex')).toBe(hex);
    expect(decodeActions(Buffer.from(hex, 'hex'))).toEqual([one]);
  });

  it('come back in their order, in all five scopes', () => {
    fc.assert(
      fc.property(actions, (list) => {
        expect(decodeActions(encodeActions(list))).toEqual(list);
      }),
    );
  });

  it.each([
    ['proc', 0],
    ['sess', 1],
    ['txn', 2],
    ['req', 3],
    ['res', 4],
  ] as const)('name the scope %s by its number %i', (name, number) => {
    expect(encodeActions([{ kind: 'unset-var', scope: name, name: '' }])[2]).toBe(number);
  });

  it('have a size that is what they add to an ACK', () => {
    fc.assert(
      fc.property(actions, (list) => {
        const sum = list.reduce((total, one) => total + encodedActionSize(one), 0);
        expect(encodeActions(list)).toHaveLength(sum);
      }),
    );
  });

  it('come back from a whole ACK frame with its ids', () => {
    fc.assert(
      fc.property(uint64, uint64, actions, (streamId, frameId, list) => {
        const frame = decodeFrame(encodeAck(streamId, frameId, list).subarray(4));
        expect(frame).toMatchObject({ kind: 'ack', fin: true, abort: false, streamId, frameId });
        expect(decodeActions(frame.kind === 'unknown' ? Buffer.alloc(0) : frame.payload)).toEqual(list);
      }),
    );
  });

  it.each([
    ['an unknown type', '030201' + '0178'],
    ['set-var with two arguments', '010201' + '0178'],
    ['unset-var with three arguments', '020301' + '0178'],
    ['an unknown scope', '020205' + '0178'],
    ['a value after unset-var', '020202' + '0178' + '1100'],
  ])('with %s are refused', (_, hex) => {
    expect(() => decodeActions(Buffer.from(hex, 'hex'))).toThrow(
      expect.objectContaining({ code: 'SPOP_BAD_ACTION', status: 4 }),
    );
  });

  it('that are cut off are refused, at every byte', () => {
    fc.assert(
      fc.property(scope, fc.nat(), (where, seed) => {
        const whole = encodeActions([
          { kind: 'set-var', scope: where, name: 'name', value: { type: 'string', value: 'value' } },
        ]);
        const part = whole.subarray(0, 1 + (seed % (whole.length - 1)));
        expect(() => decodeActions(part)).toThrow(expect.objectContaining({ code: 'SPOP_OUT_OF_BYTES' }));
      }),
    );
  });

  it('of arbitrary bytes decode or are refused with SpopError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (array) => {
        try {
          decodeActions(Buffer.from(array));
        } catch (error) {
          expect(error).toBeInstanceOf(SpopError);
        }
      }),
      { numRuns: 2_000 },
    );
  });
});
