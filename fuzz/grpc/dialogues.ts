/**
 * Right HTTP/2 with calls that are right or wrong in one way each, many on a connection: what every one of them must end
 * in is known, and none may harm another.
 */
import fc from 'fast-check';
import { type ClientCall, GrpcClient } from '../../test/support/grpc-client.ts';
import { grpcMessage } from '../../test/support/http2-frames.ts';
import { Finding } from '../session.ts';
import type { GrpcTarget } from './target.ts';

export interface PlannedCall {
  readonly conversation: number;
  /** What goes wrong after the conversation, or in the middle of it; undefined: nothing. */
  readonly wrong: keyof typeof wrongs | undefined;
  /** Where its bytes are cut into DATA frames: shares of what is left. */
  readonly cuts: readonly number[];
  /** Turns of the event loop before it begins. */
  readonly delay: number;
}

/** By name: the bytes that follow, and what the call ends in. */
const wrongs = {
  compressed: (target: GrpcTarget) => ({ bytes: grpcMessage('x', 1), status: target.statusOf('compressed') }),
  'too-large': (target: GrpcTarget) => ({
    bytes: grpcMessage('', 0, target.maxMessageBytes + 1),
    status: target.statusOf('too-large'),
  }),
  flag: (target: GrpcTarget) => ({ bytes: grpcMessage('x', 64), status: target.statusOf('malformed') }),
  half: (target: GrpcTarget) => ({ bytes: grpcMessage('x', 0, 9), status: target.statusOf('malformed') }),
  'half-prefix': (target: GrpcTarget) => ({
    bytes: Buffer.from([0, 0]),
    status: target.statusOf('malformed'),
  }),
  reset: () => ({ bytes: Buffer.alloc(0), status: undefined }),
  'reset-within': () => ({ bytes: grpcMessage('x', 0, 500), status: undefined }),
} as const;

export const dialogue: fc.Arbitrary<readonly PlannedCall[]> = fc.array(
  fc.record({
    conversation: fc.nat({ max: 1_000 }),
    wrong: fc.option(fc.constantFrom(...(Object.keys(wrongs) as (keyof typeof wrongs)[])), {
      nil: undefined,
    }),
    cuts: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 4 }),
    delay: fc.nat({ max: 3 }),
  }),
  { minLength: 1, maxLength: 12 },
);

/** @returns answers that were right @throws Finding */
export async function playDialogue(calls: readonly PlannedCall[], target: GrpcTarget): Promise<number> {
  const client = await GrpcClient.connect(target.address);
  try {
    const answers = await Promise.all(calls.map((plan) => playCall(plan, client, target)));
    if (client.goaways.length > 0) throw new Finding(`GOAWAY ${client.goaways} for right HTTP/2`);
    return answers.reduce((sum, count) => sum + count, 0);
  } finally {
    await client.close();
  }
}

async function playCall(plan: PlannedCall, client: GrpcClient, target: GrpcTarget): Promise<number> {
  for (let turn = 0; turn < plan.delay; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  const call = client.call(target.path);
  const conversation = target.conversation(plan.conversation);
  const wrong = plan.wrong === undefined ? undefined : wrongs[plan.wrong](target);
  for (const [index, { message, isAnswer }] of conversation.entries()) {
    write(call, grpcMessage(message), plan.cuts);
    const answer = (await answersOf(call, index + 1, plan))[index];
    if (answer === undefined || !isAnswer(answer)) throw new Finding(`${show(plan)}: wrong answer ${index}`);
  }
  if (wrong !== undefined) write(call, wrong.bytes, plan.cuts);
  const expected = wrong === undefined ? target.statusAtEnd : wrong.status;
  if (expected === undefined) call.stream.close(8);
  else call.end();
  const { status } = await call.done;
  if (expected !== undefined && status !== expected) {
    throw new Finding(`${show(plan)}: status ${status}, expected ${expected}`);
  }
  return conversation.length;
}

async function answersOf(call: ClientCall, count: number, plan: PlannedCall): Promise<readonly Buffer[]> {
  return await call.received(count).catch((cause: Error) => {
    throw new Finding(`${show(plan)}: ${cause.message}`);
  });
}

function write(call: ClientCall, bytes: Buffer, cuts: readonly number[]): void {
  let rest = bytes;
  for (const cut of cuts) {
    const end = Math.floor(rest.length * cut);
    call.stream.write(rest.subarray(0, end));
    rest = rest.subarray(end);
  }
  call.stream.write(rest);
}

function show(plan: PlannedCall): string {
  return JSON.stringify(plan);
}
