import { readSync } from 'node:fs';

/** What waits in a pipe that is read without blocking, up to the moment when there is no more. */
export function readWaiting(fd: number): string {
  const chunk = Buffer.alloc(65_536);
  let text = '';
  try {
    for (;;) text += chunk.toString('latin1', 0, readSync(fd, chunk));
  } catch {
    return text;
  }
}
