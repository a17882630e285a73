/*
 * Preloaded into the daemon by a test (NODE_OPTIONS=--require): an engine thread ends at once, with what it had to do,
 * when it reads `end-this-thread` in an escaped query or in a JSON body, and makes a mistake over the address
 * `a-mistake-of-ours`. The product does neither.
 */
const { syncBuiltinESMExports } = require('node:module');
const net = require('node:net');
const { isMainThread } = require('node:worker_threads');

if (!isMainThread) {
  const { decodeURIComponent: decode } = globalThis;
  const { parse } = JSON;
  const { isIP } = net;
  const look = (text) => {
    if (String(text).includes('end-this-thread')) process.exit(9);
  };
  globalThis.decodeURIComponent = (text) => {
    look(text);
    return decode(text);
  };
  JSON.parse = (text, ...rest) => {
    look(text);
    return parse(text, ...rest);
  };
  net.isIP = (text) => {
    if (text === 'a-mistake-of-ours') throw new Error('a mistake of ours');
    return isIP(text);
  };
  syncBuiltinESMExports();
}
