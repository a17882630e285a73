// What part h compares with: the least that a gRPC server over node:http2 can be. It believes every byte, bounds nothing,
// and knows one method.
import { createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { withPrefix } from '../../src/grpc/index.ts';

const prefixBytes = 5;

/** Resolves with its port. */
export async function startFloor(answer: Uint8Array): Promise<number> {
  const server = createServer({ streamResetBurst: 1e9, streamResetRate: 1e9 });
  server.on('stream', (stream) => {
    stream.on('error', () => undefined);
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    let pending: Buffer = Buffer.alloc(0);
    stream.on('data', (chunk: Buffer) => {
      pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
      while (pending.length >= prefixBytes) {
        const end = prefixBytes + pending.readUInt32BE(1);
        if (pending.length < end) return;
        pending = pending.subarray(end);
        stream.write(withPrefix(answer));
      }
    });
    stream.on('end', () => stream.end());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}
