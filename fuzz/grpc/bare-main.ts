// The process of `startBareTarget`.
import { type GrpcMethod, GrpcServer } from '../../src/grpc/index.ts';
import { type BareAnswer, bareHelloTimeoutMs, bareMaxMessageBytes, barePath } from './target.ts';

const say = (answer: BareAnswer): void => {
  process.send?.(answer);
};

const echo: GrpcMethod = {
  open(call) {
    let ends = 0;
    return {
      message(message) {
        if (ends > 0) throw new Error('a message after the end');
        call.send(message);
      },
      halfClosed: () => call.end(0),
      closed() {
        ends += 1;
        if (ends > 1) say({ failed: 'a call was closed twice' });
      },
    };
  },
};

const server = new GrpcServer(
  {
    ...{ methods: new Map([[barePath, echo]]), services: [] },
    ...{ maxMessageBytes: bareMaxMessageBytes, maxHeldBytes: 64_000_000 },
    // Small enough that scenes come to them.
    ...{ maxConcurrentStreams: 1_000, maxCalls: 4_000, maxConnections: 600 },
    ...{ helloTimeoutMs: bareHelloTimeoutMs, idleTimeoutMs: 60_000 },
  },
  {
    methodFailed: (path, cause) =>
      say({ failed: `${path}: ${cause instanceof Error ? cause.stack : cause}` }),
  },
);

process.on('message', () => {
  const residentMegabytes = Math.round(process.memoryUsage.rss() / 1_048_576);
  const { connections, calls } = server;
  say({ state: { connections, calls, heldBytes: server.memory.heldBytes, residentMegabytes } });
});
process.on('disconnect', () => process.exit(0));
say({ port: Number((await server.listen({ host: '127.0.0.1', port: 0 })).split(':').at(-1)) });
