/**
 * What the daemon may do with the bytes of one connection, worked out from the same state machine without a socket. The
 * state machine has tests of its own (test/spop); here it tells a right answer of the running daemon from a wrong one.
 */

import { messageNames } from '../src/adapters/haproxy/contract.ts';
import { MessageArguments } from '../src/adapters/haproxy/message-arguments.ts';
import { routeOf } from '../src/adapters/haproxy/notify-route.ts';
import { wantsRequestBody } from '../src/engine/body/body-policy.ts';
import {
  AgentConnection,
  type AgentEvent,
  decodeMessages,
  encodeActions,
  type SpoeMessage,
  SpopError,
} from '../src/spop/index.ts';

/** How a connection stands after its bytes: `status N`, told with AGENT-DISCONNECT, is an end as `healthcheck` is. */
export type Outcome = 'open' | 'healthcheck' | `status ${number}`;

export interface Expectation {
  readonly outcomes: ReadonlySet<Outcome>;
  /** NOTIFYs, as `stream-id/frame-id`, with how often each was sent: so many ACKs may come. */
  readonly notifies: ReadonlyMap<string, number>;
  /** Those of which one ACK at least must come: the last of its ids has the patience to wait for it. */
  readonly owed: ReadonlySet<string>;
  /** Agreed on; 0 without a HELLO. */
  readonly maxFrameSize: number;
  /** No frame is cut off at the end, so that a goodbye can follow. */
  readonly complete: boolean;
  /** Of all transactions that may have begun. */
  readonly longestTimeToLiveMs: number;
  /** Requests that announce a body: the daemon waits ten minutes for a slow upload (src/engine/engine.ts). */
  readonly uploads: number;
}

const someActions = encodeActions([{ kind: 'unset-var', scope: 'txn', name: 'any' }]);

export function expectationOf(bytes: Buffer, maxFrameSizeBytes: number): Expectation {
  const outcomes = new Set<Outcome>();
  const notifies = new Map<string, number>();
  const owed = new Set<string>();
  let [longestTimeToLiveMs, uploads] = [0, 0];
  let [maxFrameSize, complete] = [0, true];
  // Whether an ACK has left before a violation comes is a matter of time: both are right.
  for (const acknowledges of [true, false]) {
    const agent = new AgentConnection({ maxFrameSize: maxFrameSizeBytes, answerPeer: someAnswer });
    const refused: Outcome[] = [];
    let end: Outcome | undefined;
    for (const event of eventsOf(agent, bytes)) {
      if (event.kind === 'error') end = `status ${event.error.status}`;
      else if (event.kind === 'disconnect') end = 'status 0';
      else if (event.kind === 'healthcheck') end = 'healthcheck';
      if (event.kind !== 'notify') continue;
      // What was not kept is answered unseen.
      const payload = payloadOf(event.missingBytes === undefined ? event.payload : Buffer.alloc(0));
      if (payload.refused !== undefined) refused.push(payload.refused);
      if (payload.mayBeSkipped) refused.push('open');
      longestTimeToLiveMs = Math.max(longestTimeToLiveMs, payload.longestTimeToLiveMs);
      const key = `${event.streamId}/${event.frameId}`;
      if (acknowledges) uploads += payload.uploads;
      if (acknowledges) notifies.set(key, (notifies.get(key) ?? 0) + 1);
      if (isImpatient(event.payload)) owed.delete(key);
      else owed.add(key);
      if (acknowledges && !agent.closed) agent.ack(event.streamId, event.frameId, someActions);
    }
    if (refused.length === 0 || end !== undefined) outcomes.add(end ?? 'open');
    for (const outcome of refused) outcomes.add(outcome);
    maxFrameSize = agent.negotiated?.maxFrameSize ?? maxFrameSize;
    complete &&= !agent.end().truncated;
  }
  return { outcomes, notifies, owed, maxFrameSize, complete, longestTimeToLiveMs, uploads };
}

/** Frame by frame, so that what is acknowledged between two of them counts for the second. */
function* eventsOf(agent: AgentConnection, bytes: Buffer): Iterable<AgentEvent> {
  for (let start = 0; start < bytes.length; ) {
    const length = start + 4 <= bytes.length ? bytes.readUInt32BE(start) : bytes.length;
    const end = Math.min(bytes.length, start + 4 + length);
    yield* agent.receive(bytes.subarray(start, end));
    start = end;
  }
}

interface PayloadExpectation {
  readonly refused: Outcome | undefined;
  /** HAProxy is said to have so little patience that nobody may come to look. */
  readonly mayBeSkipped: boolean;
  readonly longestTimeToLiveMs: number;
  readonly uploads: number;
}

const leastPatienceMs = 5_000;
/** Of the target. */
const bodyLimitBytes = 10_000_000;

function payloadOf(payload: Buffer): PayloadExpectation {
  try {
    const messages = decodeMessages(payload);
    const times = messages.map((message) => new MessageArguments(message).timeToLiveMs() ?? 0);
    return {
      refused: undefined,
      mayBeSkipped: false,
      longestTimeToLiveMs: Math.max(0, ...times),
      uploads: messages.filter(isUpload).length,
    };
  } catch (error) {
    if (!(error instanceof SpopError)) throw error;
    return {
      refused: `status ${error.status}`,
      mayBeSkipped: isImpatient(payload),
      longestTimeToLiveMs: 0,
      uploads: 0,
    };
  }
}

function isUpload(message: SpoeMessage): boolean {
  if (message.name !== messageNames.requestHeaders) return false;
  const { headers, declaredBodySize, method } = new MessageArguments(message).requestHead();
  return wantsRequestBody(headers, declaredBodySize, bodyLimitBytes, method);
}

/** The walk of the I/O thread finds less than the decoding of an engine thread, which comes later or never. */
function isImpatient(payload: Buffer): boolean {
  try {
    return (routeOf(payload).processingTimeoutMs ?? leastPatienceMs) < leastPatienceMs;
  } catch {
    return false;
  }
}

const someAnswer = () => ({ instance: '0'.repeat(16), proof: undefined });
