/*
 * Preloaded into the daemon by a test (NODE_OPTIONS=--require): an engine thread that reads a JSON body with these words
 * is stuck for good. The product has no such way out.
 */
const { isMainThread } = require('node:worker_threads');

if (!isMainThread) {
  const parse = JSON.parse;
  JSON.parse = (text, ...rest) => {
    if (typeof text === 'string' && text.includes('hold-this-thread')) for (;;);
    return parse(text, ...rest);
  };
}
