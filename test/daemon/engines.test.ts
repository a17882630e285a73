import { describe, expect, it } from 'vitest';
import { threadsFor } from '../../src/daemon/start-engines.ts';

const mebibyte = 1024 * 1024;

describe('the number of engine threads by itself', () => {
  it.each([
    [1, 0, 0],
    [2, 0, 2],
    [6, 0, 6],
    [64, 0, 8],
    [8, 512 * mebibyte, 3],
    [8, 256 * mebibyte, 0],
    [8, 64 * mebibyte, 0],
    [4, 16_384 * mebibyte, 4],
  ])('for %i processors and %i bytes is %i', (processors, memoryBytes, expected) => {
    expect(threadsFor(processors, memoryBytes)).toBe(expected);
  });
});
