// Requests as proxies write them, and what a reader made of them.
import fc from 'fast-check';
import { type RequestEvent, RequestReader } from '../../src/http1/index.ts';

/** A request as it was told, its buffers copied. */
export interface Told {
  readonly method: string;
  readonly target: string;
  readonly fields: readonly (readonly [string, string])[];
  readonly body: string;
  readonly trailers: string;
  readonly complete: boolean;
}

export interface Outcome {
  readonly requests: Told[];
  readonly refused: string | undefined;
  readonly closed: boolean;
  /** The largest number of bytes that were kept between two reads. */
  readonly mostKept: number;
}

/** @param ends the sender ends its side afterwards. */
export function read(pieces: readonly Buffer[], { maxHeadBytes = 4096, ends = false } = {}): Outcome {
  const reader = new RequestReader(maxHeadBytes);
  const requests: Told[] = [];
  let refused: string | undefined;
  let mostKept = 0;
  let current: (Omit<Told, 'body'> & { body: string }) | undefined;
  const tell = (event: RequestEvent): void => {
    if (event.kind === 'head') {
      const { method, target, fields } = event.head;
      current = { method, target, fields, body: '', trailers: '', complete: true };
    } else if (event.kind === 'body' && current !== undefined) {
      current.body += event.bytes.toString('latin1');
    } else if (event.kind === 'end' && current !== undefined) {
      requests.push({ ...current, trailers: event.trailers.toString('latin1'), complete: event.complete });
      current = undefined;
    } else if (event.kind === 'refused') refused = `${event.status} ${event.problem}`;
  };
  for (const piece of pieces) {
    // As a socket does, which uses its memory again.
    const lent = Buffer.from(piece);
    for (const event of reader.receive(lent)) tell(event);
    lent.fill(0);
    mostKept = Math.max(mostKept, reader.bufferedBytes);
  }
  if (ends) for (const event of reader.end()) tell(event);
  return { requests, refused, closed: reader.closed, mostKept };
}

export function readText(text: string, options?: Parameters<typeof read>[1]): Outcome {
  return read([Buffer.from(text, 'latin1')], options);
}

const token = fc.stringMatching(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,12}$/);
/** Any byte but the ends of lines; a value has no blanks around it. */
const anyText = fc.uint8Array({ maxLength: 40 }).map((bytes) =>
  Buffer.from(bytes)
    .toString('latin1')
    .replace(/[\r\n]/g, '.'),
);
const value = anyText.map((text) => text.replace(/^[ \t]+|[ \t]+$/g, ''));
const framingNames = new Set(['content-length', 'transfer-encoding', 'connection', 'expect']);

export interface Sent {
  readonly told: Told;
  readonly bytes: Buffer;
}

const body = fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes));

/** A request that keeps its connection, and its bytes. */
export const request: fc.Arbitrary<Sent> = fc
  .record({
    method: token,
    // A target has no blanks around it, and is not empty.
    target: anyText.map((text) => `/${text.trim()}`),
    names: fc.array(fc.tuple(token, value), { maxLength: 6 }),
    body,
    chunks: fc.option(fc.array(fc.nat(200), { maxLength: 4 })),
    trailers: fc.array(fc.tuple(token, value), { maxLength: 2 }),
    lineEnd: fc.constantFrom('\r\n', '\n'),
    before: fc.constantFrom('', '\r\n', '\n\n'),
  })
  .map((from) => {
    const fields = from.names.filter(([name]) => !framingNames.has(name.toLowerCase()));
    const chunked = from.chunks !== null;
    if (chunked) fields.push(['Transfer-Encoding', 'chunked']);
    else if (from.body.length > 0) fields.push(['Content-Length', String(from.body.length)]);
    const lines = [
      `${from.method} ${from.target} HTTP/1.1`,
      ...fields.map(([name, text]) => `${name}: ${text}`),
    ];
    const head = `${from.before}${lines.join(from.lineEnd)}${from.lineEnd.repeat(2)}`;
    const trailers = chunked
      ? from.trailers.map(([name, text]) => `${name}: ${text}${from.lineEnd}`).join('')
      : '';
    const bytes = Buffer.concat([
      Buffer.from(head, 'latin1'),
      chunked ? inChunks(from.body, from.chunks ?? [], from.lineEnd, trailers) : from.body,
    ]);
    const told = {
      method: from.method,
      target: from.target,
      fields,
      body: from.body.toString('latin1'),
      trailers,
      complete: true,
    };
    return { told, bytes };
  });

function inChunks(whole: Buffer, places: readonly number[], lineEnd: string, trailers: string): Buffer {
  const cuts = [...new Set([0, ...places.map((place) => place % (whole.length + 1)), whole.length])];
  cuts.sort((one, other) => one - other);
  const pieces = cuts.slice(1).flatMap((end, index) => {
    const piece = whole.subarray(cuts[index], end);
    return [Buffer.from(`${piece.length.toString(16)}${lineEnd}`), piece, Buffer.from(lineEnd)];
  });
  return Buffer.concat([...pieces, Buffer.from(`0${lineEnd}${trailers}${lineEnd}`, 'latin1')]);
}
