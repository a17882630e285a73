/*
 * Preloaded into the daemon by a test (NODE_OPTIONS=--require): an engine thread that reads a JSON body with these words
 * ends at once, with what it had to do. The product has no such way out.
 */
const { isMainThread } = require('node:worker_threads');

if (!isMainThread) {
  const parse = JSON.parse;
  JSON.parse = (text, ...rest) => {
    if (typeof text === 'string' && text.includes('end-this-thread')) process.exit(9);
    return parse(text, ...rest);
  };
}
