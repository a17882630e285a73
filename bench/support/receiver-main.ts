// One receiver of mirrored requests in a process of its own: ours without an engine behind it, or node:http without anything.
import { createServer } from 'node:http';
import { ArrivingMemory } from '../../src/adapters/mirror/arriving-memory.ts';
import { Backlog } from '../../src/adapters/mirror/backlog.ts';
import { MirrorServer } from '../../src/adapters/mirror/server.ts';
import { createChannel } from '../../src/workers/channel.ts';
import { Dispatcher } from '../../src/workers/dispatcher.ts';
import type { Job, JobResult, JobTaker } from '../../src/workers/jobs.ts';
import { LaneReader, LaneWriter } from '../../src/workers/lane.ts';

/** Bytes go through the ring, as to an engine thread, and nobody looks at them. */
class RingOnly implements JobTaker {
  readonly #writer: LaneWriter;
  readonly #reader: LaneReader;

  constructor() {
    const { channel, largeBytes } = createChannel();
    this.#writer = new LaneWriter(channel.jobs, largeBytes, 1e9);
    this.#reader = new LaneReader(channel.jobs, channel.largeBytes);
  }

  leastBusy(): number {
    return 0;
  }
  isReady(): boolean {
    return true;
  }
  expectedWaitMs(): number {
    return 0;
  }
  liveTransactionsOf(): number {
    return 0;
  }
  skipped(): void {}

  submit(_index: number, { payload }: Job, answered: (result: JobResult) => void): boolean {
    if (!this.#writer.write(1, 0, 0, 0, payload)) return false;
    while (this.#reader.next()) this.#reader.release();
    answered({ kind: 'done', bytes: new Uint8Array(0) });
    return true;
  }
}

async function startOurs(): Promise<number> {
  const nothing = (): void => {};
  const backlog = new Backlog(
    new Dispatcher(new RingOnly(), 0),
    { maxBytes: 1e8, maxAgeMs: 60_000 },
    { unseen: nothing },
  );
  const server = new MirrorServer(
    { maxConnections: 1000, helloTimeoutMs: 10_000, socketMode: 0o600, stallMs: 60_000 },
    {
      backlog,
      memory: new ArrivingMemory(1e8),
      bodyLimitBytes: 1e7,
      observer: { arrived: nothing, bodyCut: nothing },
    },
    {
      connected: nothing,
      refusedConnection: nothing,
      handshakeFailed: nothing,
      refused: nothing,
      stalled: nothing,
      socketError: nothing,
      failed: (cause) => {
        throw cause;
      },
    },
  );
  return Number((await server.listen({ host: '127.0.0.1', port: 0 }, 0)).split(':').at(-1));
}

function startBare(): Promise<number> {
  const server = createServer((request, response) => {
    request.resume().on('end', () => response.writeHead(200, { 'content-length': 0 }).end());
  });
  server.keepAliveTimeout = 0;
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : 0);
    });
  });
}

const port = await (process.argv[2] === 'ours' ? startOurs() : startBare());
process.on('message', () => process.send?.(process.cpuUsage()));
process.send?.(port);
