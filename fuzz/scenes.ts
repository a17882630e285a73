/** Hostile conduct that is a matter of time and number rather than of bytes. Each scene ends with all of its connections. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { argumentNames } from '../src/adapters/haproxy/contract.ts';
import { encodeHaproxyHello, encodeNotify } from '../src/spop/index.ts';
import {
  requestHeadersMessage,
  responseHeadersMessage,
  string,
  variablesOf,
} from '../test/support/spoe-messages.ts';
import { decodeAgentFrames, SpopClient, TYPICAL_HELLO } from '../test/support/spop-client.ts';
import { drip } from './drip.ts';
import { fillStore } from './fill-store.ts';
import { hostileInstance } from './hostile-peer.ts';
import { Finding } from './session.ts';
import type { Tally } from './tally.ts';
import type { Target } from './target.ts';

/** Resolves with what the summary should say besides, such as why it was not played. @throws Finding */
export type Scene = (
  target: Target,
  tally: Tally,
  daemonIdentity: string | undefined,
) => Promise<string | undefined>;

const brief = { [argumentNames.timeout]: string('2s'), [argumentNames.processingTimeout]: string('60s') };
const hello = encodeHaproxyHello(TYPICAL_HELLO);

async function open(target: Target, allowHalfOpen = false): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port: target.port, allowHalfOpen, noDelay: true });
  await once(socket, 'connect');
  socket.on('error', () => undefined);
  return socket;
}

const times = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

/** A byte at a time, on several connections at once. */
async function slowSenders(target: Target, tally: Tally): Promise<undefined> {
  await Promise.all(
    times(20).map(async (index) => {
      const client = await SpopClient.connect({ port: target.port });
      const attack = index % 2 === 0;
      const path = attack ? '/?a=attack-block' : '/';
      const bytes = Buffer.concat([
        hello,
        encodeNotify(1, 1, [requestHeadersMessage(path, undefined, brief)]),
      ]);
      await drip(
        client.socket,
        Array.from(bytes, (byte) => Buffer.from([byte])),
      );
      const { actions } = await client.ackOf(1, 1);
      if ((variablesOf(actions)['blocked'] === true) !== attack) throw new Finding(`slow sender: ${path}`);
      await client.disconnect();
      tally.acks += 1;
      tally.sessions += 1;
    }),
  );
  return undefined;
}

/** Sends as long as anything is taken, and reads nothing. */
async function neverReaders(target: Target, tally: Tally): Promise<undefined> {
  const block = requestHeadersMessage('/?a=attack-block', undefined, brief);
  await Promise.all(
    times(10).map(async () => {
      const socket = await open(target);
      socket.pause();
      socket.write(hello);
      const most = 20_000;
      for (let frameId = 1; frameId <= most; frameId += 1) {
        if (socket.write(encodeNotify(1, frameId, [block]))) continue;
        // The daemon may cut off who does not read (its idle time-out), in the middle of a write.
        const drained = once(socket, 'drain').then(
          () => true,
          () => false,
        );
        const taken = await Promise.race([drained, pause(1_000)]);
        if (taken !== true) break;
        if (frameId === most) throw new Finding('a peer that never reads was read from without an end');
      }
      tally.sessions += 1;
      socket.resetAndDestroy();
    }),
  );
  const inFlight = await target.daemon.metric('spop_frames_in_flight');
  if (inFlight > 10 * 10_000) throw new Finding(`${inFlight} frames in flight of peers that never read`);
  return undefined;
}

/** Says nothing, half a frame, or all, and closes one direction; never closes the other by itself. */
async function halfOpen(target: Target, tally: Tally): Promise<undefined> {
  const beginnings = [Buffer.alloc(0), Buffer.from([0, 0]), hello.subarray(0, 20), hello];
  await Promise.all(
    beginnings.flatMap((bytes) =>
      [true, false].map(async (finishes) => {
        // An idle connection after HELLO is in order and stays.
        if (bytes === hello && !finishes) return;
        const socket = await open(target, true);
        const received: Buffer[] = [];
        socket.on('data', (chunk: Buffer) => received.push(chunk));
        socket.write(bytes);
        if (finishes) socket.end();
        const ended = once(socket, 'end').then(() => true);
        if ((await Promise.race([ended, pause(15_000)])) !== true) {
          throw new Finding(`half open after ${bytes.length} bytes, FIN ${finishes}: stays open`);
        }
        const last = decodeAgentFrames(Buffer.concat(received)).at(-1);
        if (!finishes && (last?.kind !== 'agent-disconnect' || last.disconnect.status !== 2)) {
          throw new Finding(`no HELLO after ${bytes.length} bytes: ${JSON.stringify(last)}`);
        }
        tally.sessions += 1;
        // Ours stays open: the daemon must let go of it all the same. Gone with the process at the latest.
        setTimeout(() => socket.destroy(), 10_000).unref();
      }),
    ),
  );
  return undefined;
}

const crowdSize = 10_000;

async function idleCrowd(target: Target, tally: Tally): Promise<string | undefined> {
  // Node raises the soft limit to the hard one for itself, so this is what the daemon has, too.
  const said = execFileSync('sh', ['-c', 'ulimit -n'], { encoding: 'utf8' }).trim();
  const limit = said === 'unlimited' ? Number.POSITIVE_INFINITY : Number(said);
  if (limit < crowdSize + 1_000)
    return `idle crowd not played: ulimit -n is ${limit}, not ${crowdSize + 1_000}`;
  const crowd: Socket[] = [];
  for (let size = 0; size < crowdSize; size += 250) {
    const more = await Promise.all(times(250).map(() => open(target)));
    await Promise.all(
      more.map((socket) => {
        socket.write(hello);
        return Promise.race([once(socket, 'data'), once(socket, 'close')]);
      }),
    );
    crowd.push(...more);
  }
  const refused = crowd.filter(({ destroyed }) => destroyed).length;
  if (refused > 0) throw new Finding(`${refused} of ${crowdSize} idle connections were closed`);
  for (const socket of crowd) socket.resetAndDestroy();
  tally.sessions += crowdSize;
  return undefined;
}

/** Connections that come and go, with and without a word. */
async function flood(target: Target, tally: Tally): Promise<undefined> {
  for (let round = 0; round < 10; round += 1) {
    await Promise.all(
      times(200).map(async (index) => {
        const socket = await open(target);
        if (index % 3 === 1) socket.write(hello);
        if (index % 2 === 0) socket.resetAndDestroy();
        else socket.destroy();
      }),
    );
    tally.sessions += 200;
  }
  return undefined;
}

/** A process that says to be an agent, with messages that name the daemon, others, and nobody. */
async function falseAgents(target: Target, tally: Tally, identity = '1'): Promise<undefined> {
  const [, , instance = '0'.repeat(16)] = identity.split('.');
  // Nobody else's span id: a session beside may have begun a transaction of a usual one that only reports.
  const forge = (owner: string): string =>
    `${randomBytes(7).readUIntBE(1, 6) + 1}.${'0'.repeat(32)}.${owner}`;
  const forged = [0, 1, 2, 9_999].flatMap((thread) => [
    forge(`${instance}.${thread}`),
    forge(`${hostileInstance}.${thread}`),
  ]);
  const client = await SpopClient.connect({ port: target.port });
  await client.hello({ peer: { instance: hostileInstance, nonce: '0'.repeat(32) } });
  // Of a relayed NOTIFY, the frame-id says how large the answer may be.
  for (const frameId of [1, 2, 255, 16_000, 2 ** 40, 2n ** 64n - 1n]) {
    for (const one of [...forged, identity]) {
      const response = responseHeadersMessage(one, 200, [['x-leak', 'leak-block']]);
      const { actions, size } = await client.notify([response], undefined, frameId);
      if (size > Math.max(Number(frameId), 256) + 25)
        throw new Finding(`${size} bytes for frame-id ${frameId}`);
      const variables = variablesOf(actions);
      if (variables['blocked'] !== true) {
        throw new Finding(`relayed with ${one}, ${frameId}: ${JSON.stringify(variables)}`);
      }
      tally.acks += 1;
    }
  }
  await client.disconnect();
  tally.sessions += 1;
  return undefined;
}

/** HAProxy's messages for a transaction of an agent that answers anything, or nothing. */
async function relaysToHostile(target: Target, tally: Tally): Promise<undefined> {
  const owner = `1.${'0'.repeat(32)}.${hostileInstance}.0`;
  const patienceMs = 300;
  const patience = { name: argumentNames.processingTimeout, value: string(`${patienceMs}ms`) };
  for (let round = 0; round < 12; round += 1) {
    const client = await SpopClient.connect({ port: target.port });
    await client.hello();
    const askedAtMs = performance.now();
    const answered = Promise.all(
      times(20).map(async () => {
        const response = responseHeadersMessage(owner);
        const { actions } = await client.notify([{ ...response, args: [...response.args, patience] }]);
        const variables = variablesOf(actions);
        if (variables['request_body'] !== false || variables['verdict'] === 'error') {
          throw new Finding(`relayed to a hostile agent: ${JSON.stringify(variables)}`);
        }
        tally.acks += 1;
      }),
    );
    try {
      await answered;
      await client.disconnect();
    } catch (cause) {
      // Once HAProxy has given up, the daemon closes the connection rather than answer.
      if (cause instanceof Finding || performance.now() - askedAtMs < patienceMs) throw cause;
    }
    tally.sessions += 1;
    // The daemon dials again after a pause.
    await pause(200);
  }
  return undefined;
}

/** One NOTIFY with as many messages as fit: each is a transaction of its own. */
async function crowdedNotify(target: Target, tally: Tally): Promise<undefined> {
  await fillStore(target, 1);
  tally.acks += 1;
  tally.sessions += 1;
  return undefined;
}

function pause(milliseconds: number): Promise<undefined> {
  return new Promise((resolve) => setTimeout(() => resolve(undefined), milliseconds));
}

export const scenes: ReadonlyMap<string, Scene> = new Map<string, Scene>([
  ['slow senders', slowSenders],
  ['never readers', neverReaders],
  ['half open', halfOpen],
  ['flood', flood],
  ['false agents', falseAgents],
  ['hostile agent', relaysToHostile],
  ['crowded', crowdedNotify],
  ['idle crowd', idleCrowd],
]);
