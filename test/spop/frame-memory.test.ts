import { Buffer } from 'node:buffer';
import { describe, expect, it } from 'vitest';
import { AgentConnection, encodeHaproxyHello, encodeNotify, FrameMemory } from '../../src/spop/index.ts';
import { TYPICAL_HELLO } from '../support/spop-client.ts';

const frameBytes = 1_000_000;
const frame = encodeNotify(1, 1, [
  { name: 'm', args: [{ name: 'a', value: { type: 'binary', value: Buffer.alloc(frameBytes) } }] },
]);

/** A connection that has said HELLO. */
function connected(frameMemory: FrameMemory): AgentConnection {
  const connection = new AgentConnection({ maxFrameSize: 2 ** 24, frameMemory });
  connection.receive(encodeHaproxyHello({ ...TYPICAL_HELLO, maxFrameSize: 2 ** 24 }));
  return connection;
}

/** What it says of the rest of the frame. */
function finish(connection: AgentConnection, from: number): { missing: boolean } {
  const [event] = connection.receive(frame.subarray(from));
  if (event?.kind !== 'notify') throw new Error(`not a NOTIFY: ${event?.kind}`);
  return { missing: event.missingBytes !== undefined };
}

describe('the memory for frames that came in part', () => {
  it('is given back with the frame, and with the connection', () => {
    const memory = new FrameMemory(64_000_000);
    const [first, second, third] = [connected(memory), connected(memory), connected(memory)];
    for (const connection of [first, second, third]) connection.receive(frame.subarray(0, 500_000));
    expect(memory.keptBytes).toBeGreaterThan(1_400_000);
    expect(finish(first, 500_000)).toEqual({ missing: false });
    second.end();
    expect(memory.keptBytes).toBeLessThanOrEqual(1_000_000);
    third.disconnect();
    expect(memory.keptBytes).toBe(0);
  });

  it('is not taken by what has not arrived, nor by who has not said HELLO', () => {
    const memory = new FrameMemory(64_000_000);
    connected(memory).receive(frame.subarray(0, 100));
    new AgentConnection({ maxFrameSize: 2 ** 24, frameMemory: memory }).receive(frame.subarray(0, 500_000));
    expect(memory.keptBytes).toBeLessThan(10_000);
  });

  it('goes to those that came last: what was begun first passes through when there is no more', () => {
    const memory = new FrameMemory(3_500_000);
    const connections = Array.from({ length: 6 }, () => connected(memory));
    for (const connection of connections) connection.receive(frame.subarray(0, 900_000));
    expect(memory.keptBytes).toBeLessThanOrEqual(3_500_000);
    const missing = connections.map((connection) => finish(connection, 900_000).missing);
    expect(missing).toEqual([true, true, true, false, false, false]);
    expect(memory.keptBytes).toBe(0);
  });

  it('is not blocked by those that never finish', () => {
    const memory = new FrameMemory(3_500_000);
    for (let peer = 0; peer < 100; peer += 1) connected(memory).receive(frame.subarray(0, 900_000));
    const connection = connected(memory);
    connection.receive(frame.subarray(0, 900_000));
    expect(finish(connection, 900_000)).toEqual({ missing: false });
  });

  it('does not cost the connection: what comes after is kept', () => {
    const memory = new FrameMemory(100_000);
    const connection = connected(memory);
    connection.receive(frame.subarray(0, 900_000));
    expect(finish(connection, 900_000)).toEqual({ missing: true });
    const small = encodeNotify(2, 1, [{ name: 'm', args: [] }]);
    expect(connection.receive(small)).toEqual([
      {
        kind: 'notify',
        streamId: 2,
        frameId: 1,
        maxActionsBytes: 2 ** 24 - 7,
        payload: Buffer.from([1, 109, 0]),
      },
    ]);
  });
});
