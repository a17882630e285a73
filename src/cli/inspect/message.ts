import { ConfigError } from '../../config/errors.ts';
import {
  type HeaderList,
  headerValue,
  headerValues,
  type RequestHead,
  type ResponseHead,
} from '../../engine/http.ts';

/*
 * HTTP messages as people have them: a URL with curl's flags, or the bytes of a message in a file. What comes out is
 * what HAProxy would hand to the agent: the target without scheme and authority, the body without its chunks.
 */

export interface GivenRequest {
  readonly head: RequestHead;
  readonly body: Uint8Array;
}

export interface GivenResponse {
  readonly head: ResponseHead;
  readonly body: Uint8Array;
}

/** curl's flags, as far as they say what is sent. */
export interface RequestFlags {
  readonly method: string | undefined;
  /** `Name: value` each. */
  readonly headers: readonly string[];
  readonly body: Buffer | undefined;
  /** Address of the TCP peer. */
  readonly peerAddress: string;
}

const noBytes = new Uint8Array();

/** @throws ConfigError naming the part that is not valid HTTP. */
export function requestFromUrl(url: string, flags: RequestFlags): GivenRequest {
  const match = /^(?:(https?):\/\/)?([^/?#]*)([^#]*)/i.exec(url.startsWith('/') ? `http://${url}` : url);
  const [, scheme = 'http', authority = '', target = ''] = match ?? [];
  const headers = flags.headers.map((line) => headerOf(line, `-H '${line}'`));
  const host = authority.replace(/^.*@/, '');
  if (host !== '' && headerValue(headers, 'host') === undefined) headers.unshift(['host', host]);
  const body = flags.body ?? noBytes;
  if (flags.body !== undefined) {
    if (headerValue(headers, 'content-type') === undefined) {
      headers.push(['content-type', 'application/x-www-form-urlencoded']);
    }
    if (headerValue(headers, 'content-length') === undefined) {
      headers.push(['content-length', String(body.length)]);
    }
  }
  const method = flags.method ?? (flags.body === undefined ? 'GET' : 'POST');
  return {
    head: {
      ...requestHead(method, sendable(target.startsWith('/') ? target : `/${target}`), headers, body),
      peerAddress: flags.peerAddress,
      https: scheme.toLowerCase() === 'https',
    },
    body,
  };
}

/**
 * Request line, header fields, an empty line, the body; lines end with LF or CRLF.
 * @throws ConfigError naming the line that is not valid HTTP.
 */
export function parseRawRequest(bytes: Buffer, source: string, peerAddress: string): GivenRequest {
  const { startLine, headers, body } = parseMessage(bytes, source);
  const match = /^(\S+) (.+?)(?: HTTP\/\d(?:\.\d)?)?$/.exec(startLine);
  const [, method, target] = match ?? [];
  if (method === undefined || target === undefined) {
    throw new ConfigError(
      `${source}: '${startLine}' is not a request line; it must be like 'GET /path?query HTTP/1.1'`,
    );
  }
  const absolute = /^(https?):\/\/[^/?#]*/i.exec(target);
  const path = absolute === null ? target : target.slice(absolute[0].length);
  return {
    head: {
      ...requestHead(method, absolute === null || path.startsWith('/') ? path : `/${path}`, headers, body),
      peerAddress,
      https: absolute?.[1]?.toLowerCase() === 'https',
    },
    body,
  };
}

/** @throws ConfigError naming the line that is not valid HTTP. */
export function parseRawResponse(bytes: Buffer, source: string): GivenResponse {
  const { startLine, headers, body } = parseMessage(bytes, source);
  const status = /^HTTP\/\d(?:\.\d)? (\d{3})(?: |$)/.exec(startLine)?.[1];
  if (status === undefined) {
    throw new ConfigError(
      `${source}: '${startLine}' is not a status line; it must be like 'HTTP/1.1 200 OK'`,
    );
  }
  return { head: { status: Number(status), headers }, body };
}

/** The size that a message announces for its body, or has. */
export function declaredSize(headers: HeaderList, body: Uint8Array): number {
  const length = headerValues(headers, 'content-length').find((value) => /^\s*\d{1,15}\s*$/.test(value));
  return Math.max(length === undefined ? 0 : Number(length), body.length);
}

function requestHead(
  method: string,
  target: string,
  headers: HeaderList,
  body: Uint8Array,
): Omit<RequestHead, 'peerAddress' | 'https'> {
  const size = declaredSize(headers, body);
  return { method, target, headers, peerPort: undefined, declaredBodySize: size > 0 ? size : undefined };
}

interface RawMessage {
  readonly startLine: string;
  readonly headers: HeaderList;
  readonly body: Uint8Array;
}

function parseMessage(bytes: Buffer, source: string): RawMessage {
  const lines: string[] = [];
  let at = 0;
  while (at < bytes.length) {
    const lineFeed = bytes.indexOf(0x0a, at);
    const end = lineFeed === -1 ? bytes.length : lineFeed;
    const line = bytes.toString('utf8', at, end).replace(/\r$/, '');
    at = end + 1;
    // Empty lines before the first one are skipped (RFC 9112, 2.2).
    if (line !== '') lines.push(line);
    else if (lines.length > 0) break;
  }
  const [startLine, ...fields] = lines;
  if (startLine === undefined) throw new ConfigError(`${source}: is empty; it must be an HTTP message`);
  const headers = fields.map((line, index) => headerOf(line, `${source}, line ${index + 2}: '${line}'`));
  return { startLine, headers, body: bodyOf(bytes.subarray(Math.min(at, bytes.length)), headers) };
}

function headerOf(line: string, where: string): readonly [string, string] {
  const colon = line.indexOf(':');
  if (colon <= 0) throw new ConfigError(`${where} is not a header; it must be like 'Name: value'`);
  return [line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim()];
}

/** What follows the announced length belongs to no message: mostly the newline of an editor. */
function bodyOf(rest: Buffer, headers: HeaderList): Uint8Array {
  if (/(^|,)\s*chunked\s*$/i.test(headerValues(headers, 'transfer-encoding').join(','))) {
    return dechunked(rest) ?? rest;
  }
  const length = headerValues(headers, 'content-length')[0];
  return length !== undefined && /^\d{1,15}$/.test(length) ? rest.subarray(0, Number(length)) : rest;
}

/** RFC 9112, 7.1; undefined when `bytes` are no chunks, as with a message that was written by hand. */
function dechunked(bytes: Buffer): Buffer | undefined {
  const chunks: Buffer[] = [];
  let at = 0;
  for (;;) {
    const lineFeed = bytes.indexOf(0x0a, at);
    if (lineFeed === -1) return undefined;
    const size = /^([\da-f]{1,8})[ \t]*(?:;.*)?\r?$/i.exec(bytes.toString('latin1', at, lineFeed))?.[1];
    if (size === undefined) return undefined;
    const length = Number.parseInt(size, 16);
    if (length === 0) return Buffer.concat(chunks);
    chunks.push(bytes.subarray(lineFeed + 1, lineFeed + 1 + length));
    at = lineFeed + 1 + length;
    if (bytes[at] === 0x0d) at += 1;
    if (bytes[at] === 0x0a) at += 1;
    if (at >= bytes.length) return Buffer.concat(chunks);
  }
}

/** As clients send it: what may not stand in a request line is escaped, all else stays as typed. */
function sendable(target: string): string {
  return target.replace(/[^\x21-\x7e]/gu, (character) => encodeURIComponent(character.toWellFormed()));
}
