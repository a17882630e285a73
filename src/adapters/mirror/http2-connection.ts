import {
  type OutgoingHttpHeaders,
  performServerHandshake,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { Socket } from 'node:net';
import type { Field } from '../../http1/index.ts';
import type { Arrival } from './arrival.ts';
import type { BeginningRequest, ConnectionServices, MirrorConnection } from './connection.ts';
import type { CopyOrigin } from './copy.ts';

type Fields = readonly Field[];

/** RFC 9113, 6.8: a GOAWAY that refuses nothing yet. */
const lastPossibleStream = 2 ** 31 - 1;

/** What HTTP/1 has room for, too; node's own are 128 fields and 64 KiB. */
const mostFields = 100_000;
const windowBytes = 1024 * 1024;
const sessionWindowBytes = 16 * 1024 * 1024;

/** What node keeps of one connection, in megabytes; beyond it, streams are refused. */
const sessionMegabytes = 64;
const mostStreams = 10_000;

/**
 * One connection of a sender that speaks HTTP/2, with prior knowledge or as TLS has agreed. Streams are answered when
 * their request has ended, as in HTTP/1. What nghttp2 refuses by itself is not seen: a malformed `:authority`, and fields
 * above 64 KiB, which end the connection.
 */
export class Http2Connection implements MirrorConnection {
  readonly #session: ServerHttp2Session;
  readonly #origin: CopyOrigin;
  readonly #services: ConnectionServices;
  #open = 0;

  /** @param socket what was read of it has been put back. */
  constructor(socket: Socket, origin: CopyOrigin, services: ConnectionServices) {
    this.#origin = origin;
    this.#services = services;
    this.#session = performServerHandshake(socket, {
      maxHeaderListPairs: mostFields,
      maxSessionMemory: sessionMegabytes,
      maxSessionRejectedStreams: mostStreams,
      strictFieldWhitespaceValidation: false,
      settings: {
        enablePush: false,
        // Without it, Envoy gives up copies of upgrades.
        enableConnectProtocol: true,
        initialWindowSize: windowBytes,
        maxConcurrentStreams: mostStreams,
        maxHeaderListSize: services.maxHeadBytes,
      },
    });
    this.#session.setLocalWindowSize(sessionWindowBytes);
    this.#session.on('error', (cause) => services.observer.socketError(cause));
    this.#session.on('stream', (stream, _headers, _flags, rawHeaders) => {
      try {
        this.#receive(stream, pairsOf(rawHeaders));
      } catch (cause) {
        services.observer.failed(cause);
        stream.close();
      }
    });
  }

  get busy(): boolean {
    return this.#open > 0;
  }

  leave(): void {
    if (!this.#session.closed) this.#session.goaway(0, lastPossibleStream);
  }

  endIfIdle(): void {
    if (!this.busy && !this.#session.closed) this.#session.close();
  }

  destroy(): void {
    this.#session.destroy();
  }

  #receive(stream: ServerHttp2Stream, fields: Fields): void {
    this.#open += 1;
    const isTunnel = valueIn(fields, ':method') === 'CONNECT';
    const arrival = this.#services.begin(this.#origin, {
      ...headOf(fields),
      bodyBytes: stream.endAfterHeaders || isTunnel ? 0 : lengthIn(fields),
    });
    if (/^100-continue$/i.test(valueIn(fields, 'expect') ?? '')) stream.additionalHeaders({ ':status': 100 });
    // What follows is no body, and has no end.
    if (isTunnel) arrival.end(true);
    this.#follow(stream, arrival, answerTo(fields));
    if (isTunnel) stream.respond(plainAnswer, { endStream: true });
  }

  #follow(stream: ServerHttp2Stream, arrival: Arrival, fields: OutgoingHttpHeaders): void {
    let trailers: Buffer | undefined;
    const answer = (): void => {
      if (!stream.headersSent && !stream.destroyed) stream.respond(fields, { endStream: true });
    };
    stream.setTimeout(this.#services.stallMs, () => {
      this.#services.observer.stalled();
      stream.close();
    });
    stream.on('error', (cause: Error) => this.#services.observer.socketError(cause));
    stream.on('trailers', (_headers, _flags, rawHeaders: string[]) => {
      trailers = linesOf(pairsOf(rawHeaders));
    });
    stream.on('data', (piece: Buffer) => {
      arrival.body(piece);
      arrival.stays();
      if (arrival.isEndless) answer();
    });
    stream.on('end', () => {
      // A stream that was reset ends, too.
      arrival.end(stream.rstCode === 0, trailers);
      answer();
    });
    stream.once('close', () => {
      arrival.end(false);
      this.#open -= 1;
    });
  }
}

const plainAnswer = { ':status': 200 };
/** NGINX and gRPC's own clients take a 200 without it for an error. */
const grpcAnswer = { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '0' };

function answerTo(fields: Fields): OutgoingHttpHeaders {
  return /^application\/grpc/i.test(valueIn(fields, 'content-type') ?? '') ? grpcAnswer : plainAnswer;
}

function pairsOf(rawHeaders: readonly string[]): Fields {
  const pairs: [string, string][] = [];
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    pairs.push([rawHeaders[index] ?? '', rawHeaders[index + 1] ?? '']);
  }
  return pairs;
}

function valueIn(fields: Fields, name: string): string | undefined {
  return fields.find(([fieldName]) => fieldName === name)?.[1];
}

function lengthIn(fields: Fields): number | undefined {
  const length = valueIn(fields, 'content-length');
  return length !== undefined && /^\d{1,15}$/.test(length) ? Number(length) : undefined;
}

/**
 * As HTTP/1 writes it; that no value has a line feed, nghttp2 has seen to. An upgrade is a CONNECT with `:protocol` (RFC
 * 8441), and was a GET to the origin.
 */
function headOf(fields: Fields): Pick<BeginningRequest, 'head' | 'wire' | 'method' | 'fields'> {
  const protocol = valueIn(fields, ':protocol');
  const method = protocol === undefined ? (valueIn(fields, ':method') ?? '') : 'GET';
  const authority = valueIn(fields, ':authority');
  const target = valueIn(fields, ':path') ?? authority ?? '';
  const lines: Field[] = fields.filter(
    ([name, value]) => !name.startsWith(':') && !(name === 'host' && value === authority),
  );
  if (protocol !== undefined) lines.unshift(['upgrade', protocol]);
  if (authority !== undefined) lines.unshift(['host', authority]);
  const head = Buffer.concat([Buffer.from(`${method} ${target} HTTP/2\n`, 'latin1'), linesOf(lines)]);
  return { head, method, fields: lines, wire: authority === undefined ? 'http2-without-authority' : 'http2' };
}

function linesOf(fields: Fields): Buffer {
  return Buffer.from(fields.map(([name, value]) => `${name}: ${value}\n`).join(''), 'latin1');
}
