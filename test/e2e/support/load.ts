// Clients that keep HAProxy busy while a test does something to the daemon.
import { setTimeout as pause } from 'node:timers/promises';
import { onTestFinished } from 'vitest';
import { Http1Connection } from './http-client.ts';

/** Of ten requests, one is an attack and two have bodies to inspect. */
const requests = [
  ...[{ target: '/' }, { target: '/json' }, { target: '/?q=attack-block' }, { target: '/' }],
  { method: 'POST', target: '/echo', headers: { 'content-type': 'application/json' }, body: '{"a":1}' },
  ...[{ target: '/' }, { target: '/json?size=2000' }, { target: '/' }],
  { method: 'POST', target: '/echo', body: 'b=1' },
  { target: '/' },
];
const isAttack = (target: string): boolean => target.includes('attack');

/** From one answer to the next request of a client: what happens under the load needs a processor, too. */
const pauseMs = 10;

export interface LoadResult {
  readonly requests: number;
  /** What a client would call an error: no response, or another status than that of the page or of the block. */
  readonly failures: readonly string[];
  readonly attacksThrough: number;
}

export interface Load {
  /** Resolves when so many more requests have been answered. */
  seen(more: number): Promise<void>;
  /** Resolves when every client has had its last answer. */
  stop(): Promise<LoadResult>;
}

/** Each client sends one request after the other over one connection, and a new one when that was closed. It ends with the test. */
export function startLoad(port: number, clients: number): Load {
  const failures: string[] = [];
  let [answered, attacksThrough, running] = [0, 0, true];
  const waiting = new Map<() => void, number>();
  const count = (): void => {
    answered++;
    for (const [wake, at] of waiting) if (answered >= at) wake();
  };
  const client = async (first: number): Promise<void> => {
    let connection = new Http1Connection(port);
    for (let index = first; running; index++) {
      const request = requests[index % requests.length] ?? { target: '/' };
      try {
        const { status, headers } = await connection.request(request);
        if (isAttack(request.target) && status === 200) attacksThrough++;
        if (status !== 200 && !(isAttack(request.target) && status === 403)) {
          failures.push(`${request.target}: ${status}`);
        }
        if (headers.some(([name, value]) => name === 'connection' && value === 'close')) {
          connection.close();
          connection = new Http1Connection(port);
        }
      } catch (cause) {
        failures.push(`${request.target}: ${String(cause)}`);
        connection.close();
        connection = new Http1Connection(port);
      }
      count();
      await pause(pauseMs);
    }
    connection.close();
  };
  // A test that fails on the way does not stop it.
  onTestFinished(() => {
    running = false;
  });
  const all = Array.from({ length: clients }, (_, index) => client(index));
  const seen = (more: number): Promise<void> =>
    new Promise((resolve) => {
      const wake = (): void => {
        waiting.delete(wake);
        resolve();
      };
      waiting.set(wake, answered + more);
    });
  const stop = async (): Promise<LoadResult> => {
    running = false;
    await Promise.all(all);
    return { requests: answered, failures, attacksThrough };
  };
  return { seen, stop };
}
