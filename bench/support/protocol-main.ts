// The process of part b: the daemon's server without an engine behind it.
import { SpopServer } from '../../src/adapters/haproxy/server.ts';
import { silentAnswerer } from './silent-answerer.ts';

const limits = {
  maxFrameSizeBytes: 131_072,
  maxFramesInFlight: 128,
  helloTimeoutMs: 10_000,
  idleTimeoutMs: 600_000,
  maxConnections: 10_000,
};

const server = new SpopServer(limits, silentAnswerer);
const listening = await server.listen({ host: '127.0.0.1', port: 0 });
process.send?.(Number(listening.split(':').at(-1)));
process.on('disconnect', () => process.exit(0));
