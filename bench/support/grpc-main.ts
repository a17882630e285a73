// The process of part h: one of two servers, with the same answer to every message. Its argument says which.
import { type GrpcMethod, GrpcServer } from '../../src/grpc/index.ts';
import { startFloor } from './grpc-floor.ts';
import { benchPath } from './grpc-link.ts';

/** As large as a verdict with the trace headers of four styles. */
const answer = Buffer.alloc(220, 'a');

const canned: GrpcMethod = {
  open: (call) => ({
    message: () => call.send(answer),
    halfClosed: () => call.end(0),
    closed: () => undefined,
  }),
};

async function startServer(): Promise<number> {
  const server = new GrpcServer({
    ...{ methods: new Map([[benchPath, canned]]), services: [] },
    ...{ maxMessageBytes: 16_000_000, maxHeldBytes: 64_000_000 },
    ...{ maxConcurrentStreams: 4_096, maxCalls: 16_384, maxConnections: 1_000 },
    ...{ helloTimeoutMs: 10_000, idleTimeoutMs: 600_000 },
  });
  return Number((await server.listen({ host: '127.0.0.1', port: 0 })).split(':').at(-1));
}

process.send?.(await (process.argv[2] === 'floor' ? startFloor(answer) : startServer()));
process.on('disconnect', () => process.exit(0));
