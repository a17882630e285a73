/*
 * A frame may have waited in the kernel while this thread was busy with others. All sockets that are read in one turn
 * of the event loop were ready, as far as one can know, when the turn began: that is when their frames were received.
 */

let startedAtMs: number | undefined;

/** When this turn of the event loop first asked, on `performance.now()`'s clock, in milliseconds. */
export function turnStartedAtMs(): number {
  if (startedAtMs === undefined) {
    startedAtMs = performance.now();
    setImmediate(() => {
      startedAtMs = undefined;
    });
  }
  return startedAtMs;
}
