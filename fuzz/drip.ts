import type { Socket } from 'node:net';

/** On a busy machine a turn can take long, and a HELLO that takes longer than its time-out is another case. */
const longestMs = 1_000;

/** Writes each piece in a turn of the event loop of its own; after a second, what is left at once. */
export async function drip(socket: Socket, pieces: Iterable<Uint8Array>): Promise<void> {
  const startedAtMs = performance.now();
  for (const piece of pieces) {
    if (!socket.writable) return;
    socket.write(piece);
    if (performance.now() - startedAtMs < longestMs) await new Promise(setImmediate);
  }
}
