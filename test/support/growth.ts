/** How much more work a larger input is: what shows a quadratic algorithm on any machine, however busy it is. */

/** The larger input, in smaller ones. */
const times = 16;
/** Below it, what the process does besides would be a part of the result. */
const leastMeasuredUs = 3000;
const attempts = 5;

/**
 * The most that `growthOf` may say of work in proportion to its input, for which it says about 16; for quadratic work it
 * says about 256.
 */
export const inProportion = 64;

/**
 * By what factor the work of `work(16 * size)` exceeds that of `work(size)`, both in CPU time of this process: other
 * processes only make it wait for longer. Regular expressions and searches inside of V8 count like everything else,
 * which no count of steps would show. What disturbs a measurement only adds to it, so the least of several counts; the
 * first one that is in proportion is enough.
 */
export async function growthOf(work: (size: number) => unknown, size: number): Promise<number> {
  let [small, large] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (let attempt = 0; attempt < attempts && !(large / small <= inProportion); attempt += 1) {
    small = Math.min(small, await repeatedUs(() => work(size)));
    large = Math.min(large, await cpuUsOf(() => work(times * size)));
  }
  return large / small;
}

/** Of one call, once the code is compiled as it will be for the large input. */
async function repeatedUs(work: () => unknown): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 3; round += 1) {
    let [calls, spent] = [0, 0];
    for (; spent < leastMeasuredUs; calls += 1) spent += await cpuUsOf(work);
    least = Math.min(least, spent / calls);
  }
  return least;
}

/** CPU time of this process, user and system, in microseconds: the same on a machine that is busy with others. */
export async function cpuUsOf(work: () => unknown): Promise<number> {
  const before = process.cpuUsage();
  const result = work();
  if (result instanceof Promise) await result;
  const { user, system } = process.cpuUsage(before);
  return user + system;
}
