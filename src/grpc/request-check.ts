import type { OutgoingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { constants } from 'node:http2';
import { GrpcStatus } from './status.ts';

/** What a client asked for: a method by its path, or something that is no call. */
export type Request = { readonly path: string } | { readonly refusal: OutgoingHttpHeaders };

const wrongMethod: Request = { refusal: { ':status': 405, allow: 'POST' } };
/** "If Content-Type does not begin with application/grpc, gRPC servers SHOULD respond with HTTP status of 415". */
const wrongType: Request = { refusal: { ':status': 415 } };

/** Reads the header list that a stream was opened with: "Requests" of gRPC over HTTP2. */
export function readRequest(list: readonly string[]): Request {
  let [method, path, type]: (string | undefined)[] = [];
  for (let index = 0; index < list.length; index += 2) {
    const value = list[index + 1];
    switch (list[index]) {
      case ':method':
        method = value;
        break;
      case ':path':
        path = value;
        break;
      case 'content-type':
        type = value;
        break;
    }
  }
  if (method !== 'POST' || path === undefined) return wrongMethod;
  if (type === undefined || !isGrpc(type)) return wrongType;
  return { path };
}

/** `application/grpc`, alone or with `+proto`, `+json` or `;` behind it; not `application/grpc-web`. */
function isGrpc(type: string): boolean {
  return (
    type === 'application/grpc' || /^application\/grpc[+; ]/i.test(type) || /^application\/grpc$/i.test(type)
  );
}

/** Trailers-only: no such method. */
export function unimplemented(path: string): OutgoingHttpHeaders {
  const known = /^[\x21-\x24\x26-\x7e]{1,200}$/.test(path) ? ` ${path}` : '';
  return {
    ':status': 200,
    'content-type': 'application/grpc',
    'grpc-status': String(GrpcStatus.UNIMPLEMENTED),
    'grpc-message': `there is no method${known}`,
  };
}

const instead = { endStream: true, sendDate: false };

/** Answers with a header list and nothing else. What the client still sends is read and forgotten. */
export function refuse(stream: ServerHttp2Stream, answer: OutgoingHttpHeaders, lingerMs: number): void {
  stream.respond(answer, instead);
  stream.resume();
  stream.setTimeout(lingerMs, () => stream.close(constants.NGHTTP2_CANCEL));
}
