// Ports for servers that must be told theirs beforehand (HAProxy, the daemon).
import { createServer } from 'node:net';

/** Below the range the kernel gives to outgoing connections: no client of another test sits on one a moment later. */
const lowestPort = 20_000;
/** Test files that run side by side have ranges of their own. */
const ranges = 12;
const ports = 1_000;
const firstPort = lowestPort + ports * (Number(process.env['VITEST_POOL_ID'] ?? 0) % ranges);

/** Where this process goes on: another one with this range began elsewhere, as good as surely. */
let next = Math.floor(Math.random() * ports);

/**
 * A TCP port of 127.0.0.1 that nobody listens on. A process gets none twice within 1,000: HAProxy would listen
 * twice on one port without a word, and answer every other connection with the wrong protocol.
 */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 50; attempt++) {
    const port = firstPort + next;
    next = (next + 1) % ports;
    if (await canListen(port)) return port;
  }
  throw new Error(`no free port among 50 in ${firstPort} to ${firstPort + ports - 1}`);
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
  });
}
