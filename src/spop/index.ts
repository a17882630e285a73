/**
 * SPOP, the protocol that HAProxy's SPOE filter speaks to its agents: bytes in, values out.
 *
 * HAProxy opens a TCP or unix connection and sends *frames*. Each is preceded by its length (four bytes);
 * frame-splitter.ts cuts the stream at them. A frame starts with a type, flags, a stream-id and a frame-id
 * (frame.ts), and its payload is one of three lists:
 *
 * - named values (kv-list.ts): HELLO in both directions (hello.ts), by which both sides agree on a version, a
 *   largest frame and capabilities; and DISCONNECT in both directions (disconnect.ts), which ends the
 *   connection with a status code (spop-error.ts) and a sentence;
 * - messages with named arguments (messages.ts): NOTIFY, by which HAProxy tells the agent about a request
 *   or response;
 * - actions (actions.ts): ACK, by which the agent answers a NOTIFY, naming its two ids, and sets or unsets
 *   variables. ACKs may come in any order once `pipelining` is agreed on.
 *
 * All three lists are built of typed values (typed-data.ts, ip-text.ts) and variable-length integers
 * (varint.ts), read by byte-reader.ts, which cannot leave its bytes, and written by byte-writer.ts.
 *
 * agent-connection.ts puts it together: the state of one connection, what is an answer to what, and what a
 * peer is told that does not keep to it. A server needs little else:
 *
 *     const connection = new AgentConnection({ maxFrameSize });
 *     socket.on('data', (chunk) => {
 *       for (const event of connection.receive(chunk)) handle(event);   // 'notify' → connection.ack(...)
 *       const output = connection.takeOutput();
 *       if (output !== undefined) socket.write(output);
 *       if (connection.closed) socket.end();
 *     });
 *
 * haproxy-connection.ts is the other side, for an agent that relays to another one what belongs there. What agents of
 * ours say to each other on such a connection, and is no part of SPOP, is peer-extension.ts.
 *
 * This folder is sans-IO: no socket, no timer, no log, nothing of ours from outside, only node:buffer. No
 * bytes make it throw anything but `SpopError`, nor loop; memory is bounded by the frame size, and by a
 * `FrameMemory` over all connections. It is not
 * safe for frames kept after the read buffer they came in was reused: string and binary values are views.
 */
export {
  type Action,
  decodeActions,
  encodeAck,
  encodeActions,
  encodedActionSize,
  VariableScope,
  writeAction,
} from './actions.ts';
export { AgentConnection, type AgentConnectionOptions } from './agent-connection.ts';
export type { AgentEvent, EndOfStream, NotifyEvent } from './agent-event.ts';
export { ByteReader } from './byte-reader.ts';
export { ByteWriter } from './byte-writer.ts';
export { DEFAULT_MAX_FRAME_SIZE, LARGEST_FRAME_SIZE } from './connection-rules.ts';
export {
  type Disconnect,
  decodeDisconnect,
  encodeAgentDisconnect,
  encodeHaproxyDisconnect,
} from './disconnect.ts';
export { decodeFrame, type Frame, FrameFlag, FrameType, MIN_FRAME_SIZE, writeFrame } from './frame.ts';
export { FrameMemory } from './frame-memory.ts';
export { FrameSplitter } from './frame-splitter.ts';
export {
  HaproxyConnection,
  type HaproxyConnectionOptions,
  type HaproxyEvent,
} from './haproxy-connection.ts';
export {
  type AgentHello,
  decodeAgentHello,
  decodeHaproxyHello,
  encodeAgentHello,
  encodeHaproxyHello,
  type HaproxyHello,
  negotiate,
  SPOP_VERSION,
} from './hello.ts';
export {
  decodeMessages,
  encodeMessages,
  encodeNotify,
  MessageCursor,
  type SpoeArgument,
  type SpoeMessage,
  type SpoeMessageInput,
} from './messages.ts';
export { frameIdOfRoom, type PeerAnswer, type PeerGreeting } from './peer-extension.ts';
export { SPOP_ERRORS, SpopError, type SpopErrorCode, StatusCode } from './spop-error.ts';
export { readTypedData, type TypedData, type TypedDataInput, textOfBytes, typedText } from './typed-data.ts';
export type { Int64, Uint64 } from './varint.ts';
