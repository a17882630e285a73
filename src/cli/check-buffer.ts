import type { Line } from './check-parse.ts';
import type { Setup } from './check-setup.ts';

/*
 * HAProxy's buffer as the files make it: `tune.bufsize`, and the part of it, `tune.maxrewrite`, that stays free for
 * headers that rules add.
 */

/** HAProxy's own value of tune.bufsize, in bytes. */
const defaultBufferBytes = 16_384;

/** HAProxy's own value of tune.maxrewrite, in bytes. */
export const defaultRewriteBytes = 1_024;

export interface SizeInBytes {
  /** Undefined when no line says it: the value is HAProxy's own. */
  readonly line: Line | undefined;
  readonly bytes: number;
}

/** HAProxy rounds it up to 16 (2.6 to 3.2, seen in HELLO). */
export function bufferBytes(setup: Setup): SizeInBytes {
  const { line, bytes } = sizeOf(setup, 'tune.bufsize', defaultBufferBytes);
  return { line, bytes: Math.ceil(bytes / 16) * 16 };
}

/** As it is in effect: HAProxy takes at most half of the buffer. */
export function rewriteBytes(setup: Setup): SizeInBytes {
  const { line, bytes } = sizeOf(setup, 'tune.maxrewrite', defaultRewriteBytes);
  return { line, bytes: Math.min(bytes, Math.floor(bufferBytes(setup).bytes / 2)) };
}

function sizeOf({ globalLines }: Setup, keyword: string, byDefault: number): SizeInBytes {
  const line = globalLines.findLast(({ words }) => words[0] === keyword);
  const match = /^(\d+)([kmg]?)$/i.exec(line?.words[1] ?? '');
  if (match === null) return { line: undefined, bytes: byDefault };
  const factor = { k: 1024, m: 1024 ** 2, g: 1024 ** 3 }[(match[2] ?? '').toLowerCase()] ?? 1;
  return { line, bytes: Number(match[1]) * factor };
}
