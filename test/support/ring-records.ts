/** The same bytes on both sides of a ring, from a seed: sizes of 0 to 299, contents that show a shift by one byte. */
export function recordBytes(seed: number): () => Uint8Array {
  let state = seed;
  return () => {
    // Numerical Recipes' linear congruential generator.
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    const first = state & 0xff;
    return Uint8Array.from({ length: (state >>> 8) % 300 }, (_, index) => first + index);
  };
}
