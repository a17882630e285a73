/** The messages of haproxyconf/spoe.cfg as HAProxy encodes them, and ACKs as a record of variables. */
import { argumentNames, messageNames } from '../../src/adapters/haproxy/contract.ts';
import { encodeHdrsBin } from '../../src/adapters/haproxy/hdrs-bin.ts';
import type { HeaderList } from '../../src/engine/http.ts';
import {
  type Action,
  type SpoeMessageInput,
  type TypedDataInput,
  textOfBytes,
} from '../../src/spop/index.ts';

export type Arguments = Readonly<Record<string, TypedDataInput>>;

export const string = (value: string): TypedDataInput => ({ type: 'string', value });
export const binary = (value: Uint8Array | string): TypedDataInput => ({
  type: 'binary',
  value: typeof value === 'string' ? Buffer.from(value) : value,
});
export const int64 = (value: number): TypedDataInput => ({ type: 'int64', value });
export const nothing: TypedDataInput = { type: 'null', value: null };

export function message(name: string, args: Arguments): SpoeMessageInput {
  return { name, args: Object.entries(args).map(([argument, value]) => ({ name: argument, value })) };
}

export function requestHeadersMessage(
  path: string,
  headers: HeaderList = [['host', 'shop.test']],
  changes: Arguments = {},
): SpoeMessageInput {
  return message(messageNames.requestHeaders, {
    [argumentNames.ip]: { type: 'ipv4', value: '203.0.113.7' },
    [argumentNames.ipPort]: int64(40_000),
    [argumentNames.method]: string('GET'),
    [argumentNames.path]: string(path),
    [argumentNames.headers]: binary(encodeHdrsBin(headers)),
    [argumentNames.https]: { type: 'boolean', value: false },
    [argumentNames.timeout]: string('1m'),
    ...changes,
  });
}

export function requestBodyMessage(spanId: string | undefined, body: string | Uint8Array): SpoeMessageInput {
  return message(messageNames.requestBody, { body: binary(body), span_id: idArgument(spanId) });
}

export function responseHeadersMessage(
  spanId: string | undefined,
  status = 200,
  headers: HeaderList = [['content-type', 'text/html']],
): SpoeMessageInput {
  return message(messageNames.responseHeaders, {
    headers: binary(encodeHdrsBin(headers)),
    status: int64(status),
    span_id: idArgument(spanId),
  });
}

export function responseBodyMessage(spanId: string | undefined, body: string | Uint8Array): SpoeMessageInput {
  return message(messageNames.responseBody, { body: binary(body), span_id: idArgument(spanId) });
}

function idArgument(spanId: string | undefined): TypedDataInput {
  return spanId === undefined ? nothing : string(spanId);
}

/** What an ACK sets, by name; bytes as text. Throws when it does anything but set variables of scope txn. */
export function variablesOf(actions: readonly Action[]): Record<string, unknown> {
  const variables: Record<string, unknown> = {};
  for (const action of actions) {
    if (action.kind !== 'set-var' || action.scope !== 'txn')
      throw new Error(`unexpected ${action.kind} ${action.name}`);
    const { value } = action.value;
    variables[action.name] = value instanceof Uint8Array ? textOfBytes(Buffer.from(value)) : value;
  }
  return variables;
}
