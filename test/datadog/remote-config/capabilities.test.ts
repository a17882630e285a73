import { describe, expect, it } from 'vitest';
import {
  type Capability,
  capabilityBits,
  encodeCapabilities,
} from '../../../src/datadog/remote-config/capabilities.ts';

describe('capabilities', () => {
  it.each<[Capability[], number[]]>([
    [[], [0]],
    [['activation'], [0b10]],
    [
      ['ddRules', 'customRules'],
      [0b1, 0b1000],
    ],
    [['traceTaggingRules'], [0b1000, 0, 0, 0, 0, 0]],
  ])('%j are a big-endian bit set', (capabilities, bytes) => {
    expect([...Buffer.from(encodeCapabilities(capabilities), 'base64')]).toEqual(bytes);
  });

  it('have each a bit of its own', () => {
    const bits = Object.values(capabilityBits);
    expect(new Set(bits).size).toBe(bits.length);
  });
});
