/*
 * Preloaded into the daemon by a test (NODE_OPTIONS=--require): the clock of the day is off by the milliseconds in the
 * file TEST_CLOCK_FILE, in every thread, from the moment the file says so. performance.now() is not: neither is the
 * kernel's monotonic clock when somebody sets the time. The product has no such way in.
 */
const { readFileSync } = require('node:fs');

const RealDate = Date;
const realNow = Date.now.bind(Date);
let offsetMs = 0;
setInterval(() => {
  try {
    offsetMs = Number(readFileSync(process.env.TEST_CLOCK_FILE, 'utf8')) || 0;
  } catch {
    offsetMs = 0;
  }
}, 50).unref();

globalThis.Date = class extends RealDate {
  constructor(...parts) {
    if (parts.length === 0) super(realNow() + offsetMs);
    else super(...parts);
  }

  static now() {
    return realNow() + offsetMs;
  }
};
