import { StartError } from '../../config/errors.ts';

/** HAProxy's `tune.bufsize` less 4 with our global-config.cfg is above this by what the files keep for added headers. */
const headAndPageBytes = 16_384;

/** `tune.maxrewrite` of our global-config.cfg. */
const mostBytes = 8_192;

/**
 * What an answer to the client must leave of a frame. HAProxy puts head and page into one buffer, which is 4 bytes larger
 * than the frame that brought them, and adds what `http-after-response` rules and cookies say: without room for it, the
 * client gets a 500 in place of the page. `tune.maxrewrite` is not told to agents, so this goes by what it usually is:
 * 8 kB with our files; a sixteenth, 1 kB, with HAProxy's own values; never more than our files need.
 */
export function rewritingRoomBytes(frameBytes: number): number {
  const usual = Math.max(frameBytes - headAndPageBytes, Math.floor(frameBytes / 16));
  return Math.min(usual, mostBytes);
}

/** @throws StartError when a block page of the operator can never fit into a frame. */
export function checkBlockPages(maxFrameSizeBytes: number, largestPageBytes: number): void {
  const addedHeadersBytes = rewritingRoomBytes(maxFrameSizeBytes);
  if (largestPageBytes <= maxFrameSizeBytes - addedHeadersBytes) return;
  throw new StartError(
    `block page template of ${largestPageBytes} bytes cannot fit into a frame of ${maxFrameSizeBytes} ` +
      `(DD_HAPROXY_SPOA_MAX_FRAME_SIZE) that leaves ${addedHeadersBytes} to HAProxy's rules: make the page smaller`,
  );
}
