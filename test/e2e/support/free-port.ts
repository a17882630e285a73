// Ports for servers that must be told theirs beforehand (HAProxy, the daemon).
import { createServer } from 'node:net';

/**
 * A TCP port of 127.0.0.1 that nobody listens on. Taken below the range the kernel gives to outgoing
 * connections, so that a client of another test cannot be sitting on it a moment later.
 */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 50; attempt++) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    if (await canListen(port)) return port;
  }
  throw new Error('no free port between 20000 and 32000 after 50 attempts');
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
  });
}
