// Part a: the codec alone, in one thread without a socket.
import {
  AgentConnection,
  decodeFrame,
  decodeMessages,
  encodeAck,
  encodeHaproxyHello,
  FrameSplitter,
} from '../src/spop/index.ts';
import { TYPICAL_HELLO } from '../test/support/spop-client.ts';
import { transactionsOf } from './support/http-transactions.ts';
import { passActions } from './support/pass-actions.ts';
import { firstStreamId, prepare } from './support/prepared-transaction.ts';
import { figure, type Section, whole } from './support/table.ts';

const secondsPerCase = 1;
/** What Node reads from a socket at a time, at most. */
const chunkBytes = 65_536;

interface Result {
  readonly framesPerSecond: number;
  readonly megabytesPerSecond: number;
}

export function benchCodec(): Promise<Section> {
  const chunks = chunksOf(framesOfTheMix());
  const read = timed(() => readAll(chunks));
  const write = timed(writeAcks);
  const both = timed(() => readAndAnswer(chunks));
  const row = (label: string, { framesPerSecond, megabytesPerSecond }: Result) => ({
    label,
    cells: [whole(framesPerSecond), whole(megabytesPerSecond)],
  });
  return Promise.resolve({
    title: 'a  codec alone, per second of one core',
    columns: ['frames', 'MB'],
    rows: [
      row('NOTIFY read: split, frame, all messages and arguments', read),
      row('ACK written: eight variables', write),
      row('a connection: NOTIFY read (not its messages), ACK written', both),
    ],
    notes: [`frames of the mix, ${figure(averageBytes(chunks))} bytes each on average, in chunks of 64 KB`],
    figures: { read, write, both },
  });
}

/** Runs `round` again and again; it returns how many frames and bytes it did. The first third warms up. */
function timed(round: () => { readonly frames: number; readonly bytes: number }): Result {
  const repeat = (seconds: number): Result => {
    const before = process.threadCpuUsage();
    const deadline = performance.now() + seconds * 1000;
    let [frames, bytes] = [0, 0];
    while (performance.now() < deadline) {
      const done = round();
      frames += done.frames;
      bytes += done.bytes;
    }
    const { user, system } = process.threadCpuUsage(before);
    const cpuSeconds = (user + system) / 1e6;
    return { framesPerSecond: frames / cpuSeconds, megabytesPerSecond: bytes / 1e6 / cpuSeconds };
  };
  repeat(secondsPerCase / 2);
  return repeat(secondsPerCase);
}

function framesOfTheMix(): Buffer[] {
  const identity = Buffer.from('1234567890123456789');
  return transactionsOf('mix').flatMap((transaction, stream) => {
    const { requestHeaders, requestBody, responseHeaders, responseBody } = prepare(transaction);
    const prepared = [requestHeaders, requestBody, responseHeaders, responseBody];
    return prepared.flatMap(
      (frame, index) => frame?.encode(firstStreamId + stream, index + 1, identity) ?? [],
    );
  });
}

function chunksOf(frames: readonly Buffer[]): Buffer[] {
  frameCount = frames.length;
  const stream = Buffer.concat(frames);
  const count = Math.ceil(stream.length / chunkBytes);
  return Array.from({ length: count }, (_, index) =>
    stream.subarray(index * chunkBytes, (index + 1) * chunkBytes),
  );
}

let frameCount = 0;

function averageBytes(chunks: readonly Buffer[]): number {
  return chunks.reduce((sum, { length }) => sum + length, 0) / frameCount;
}

function readAll(chunks: readonly Buffer[]): { frames: number; bytes: number } {
  const splitter = new FrameSplitter(131_072);
  let [frames, bytes, seen] = [0, 0, 0];
  for (const chunk of chunks) {
    bytes += chunk.length;
    splitter.push(chunk);
    for (let bytesOfFrame = splitter.next(); bytesOfFrame !== undefined; bytesOfFrame = splitter.next()) {
      const frame = decodeFrame(bytesOfFrame);
      if (frame.kind === 'notify') seen += decodeMessages(frame.payload).length;
      frames += 1;
    }
  }
  if (seen !== frames) throw new Error(`${frames} frames had ${seen} messages`);
  return { frames, bytes };
}

function writeAcks(): { frames: number; bytes: number } {
  const frames = 1000;
  let bytes = 0;
  for (let frame = 0; frame < frames; frame += 1) {
    bytes += encodeAck(firstStreamId + frame, 1, passActions).length;
  }
  return { frames, bytes };
}

function readAndAnswer(chunks: readonly Buffer[]): { frames: number; bytes: number } {
  const connection = new AgentConnection({ maxFrameSize: 131_072 });
  connection.receive(encodeHaproxyHello(TYPICAL_HELLO));
  let [frames, bytes] = [0, 0];
  for (const chunk of chunks) {
    bytes += chunk.length;
    for (const event of connection.receive(chunk)) {
      if (event.kind !== 'notify') throw new Error(`a NOTIFY was read as ${event.kind}`);
      connection.ack(event.streamId, event.frameId, passActions);
      frames += 1;
    }
    bytes += connection.takeOutput()?.length ?? 0;
  }
  return { frames, bytes };
}
