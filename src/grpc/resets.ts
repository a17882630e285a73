import { constants, type ServerHttp2Stream } from 'node:http2';
import { Duplex } from 'node:stream';

/**
 * Makes resets of `stream` what they are: an end like any other. To node:http2 they are errors: one that nobody listens for
 * ends the process, and each is an object of its own with a stack trace, which is more than half of what a stream of two
 * messages costs (docs/experiments.md). A stream that is destroyed with an error makes none: it is destroyed with this one.
 */
export function expectResets(stream: ServerHttp2Stream): void {
  stream.on('error', ignore);
  stream.destroy = destroyReset;
}

const resetByClient = new Error('the client reset the stream');

function ignore(): void {
  // 'close' follows.
}

/** Duplex.destroy, which node:http2 calls without an argument when a stream has been closed. */
function destroyReset(this: ServerHttp2Stream, error?: Error): ServerHttp2Stream {
  const isReset = this.closed && isError(this.rstCode);
  Duplex.prototype.destroy.call(this, error ?? (isReset ? resetByClient : undefined));
  return this;
}

/** Those of which node:http2 makes an error. */
function isError(code: number | undefined): boolean {
  return code !== undefined && code !== constants.NGHTTP2_NO_ERROR && code !== constants.NGHTTP2_CANCEL;
}
