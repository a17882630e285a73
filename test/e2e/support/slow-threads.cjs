/*
 * Preloaded into the daemon by a test (NODE_OPTIONS=--require): an engine thread stands still for half a second when it
 * reads `slow-analysis` in an escaped query.
 */
const { isMainThread } = require('node:worker_threads');

if (!isMainThread) {
  const { decodeURIComponent: decode } = globalThis;
  const cell = new Int32Array(new SharedArrayBuffer(4));
  globalThis.decodeURIComponent = (text) => {
    if (String(text).includes('slow-analysis')) Atomics.wait(cell, 0, 0, 500);
    return decode(text);
  };
}
