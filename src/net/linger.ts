import type { Socket } from 'node:net';

/** After our last byte, the other side has this long to close its own. */
const lingerMs = 2000;

/** Ends our side; the other side is given a moment to end its own. */
export function endAfterLastFrame(socket: Socket): void {
  socket.end();
  const linger = setTimeout(() => socket.destroy(), lingerMs);
  linger.unref();
  socket.once('close', () => clearTimeout(linger));
}
