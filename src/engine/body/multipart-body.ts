import { Busboy } from '@fastify/busboy';
import { messageOf } from '../../message-of.ts';

/*
 * multipart/form-data (RFC 7578) through @fastify/busboy, and a check of what it delivered.
 *
 * Multipart parsers differ: in the boundary they use, in line ends, in the parameters of a part, and in how they treat
 * invalid parts. Busboy drops those silently, while an application may accept them. Therefore the delimiters in the bytes
 * are counted, and if the parts do not account for all of them, the caller has to inspect the raw text as well.
 */

export interface MultipartPart {
  readonly name: string;
  readonly filename: string | undefined;
  /** Content-Type of the part in lower case, without parameters; busboy's `text/plain` when there is none. */
  readonly type: string;
  readonly transferEncoding: string;
  readonly content: Uint8Array;
}

export interface ParsedMultipart {
  readonly parts: readonly MultipartPart[];
  /** Ambiguous header blocks of parts, to be inspected as text. */
  readonly oddHeaders: readonly string[];
  /** Charsets that parts name, in lower case, without repetition; a few of them. */
  readonly charsets: readonly string[];
  /** The closing delimiter is missing. */
  readonly cut: boolean;
  /** Why the raw text has to be inspected as well: parts are missing. */
  readonly lost: string | undefined;
}

/** RFC 2046, 5.1.1. Longer ones would also make the search for them slow. */
const maxBoundaryLength = 70;
/** Each part costs streams; with more of them, the raw text is inspected instead. */
const maxParts = 1000;
/** Each charset is one more reading of every part. */
const maxCharsets = 4;

/** Never rejects. */
export async function parseMultipart(bytes: Uint8Array, boundary: string): Promise<ParsedMultipart> {
  if (boundary.length > maxBoundaryLength) {
    const lost = `multipart: boundary of ${boundary.length} characters, at most ${maxBoundaryLength}`;
    return { parts: [], oddHeaders: [], charsets: [], cut: false, lost };
  }
  const outline = outlineOf(bytes, boundary);
  if (!outline.found) {
    const isCut = `--${boundary}`.startsWith(Buffer.from(bytes).toString('latin1'));
    return {
      parts: [],
      oddHeaders: [],
      charsets: [],
      cut: isCut,
      lost: 'multipart: the boundary does not occur',
    };
  }
  // A missing end is added, so that busboy delivers the last part as far as it came.
  const whole = outline.closed ? [bytes] : [bytes, Buffer.from(`\r\n--${boundary}--\r\n`, 'latin1')];
  const { parts, error } = await runBusboy(Buffer.concat(whole), boundary);
  let lost = error;
  if (parts.length + outline.unfinishedHeaders !== outline.delimiters) {
    lost ??= `multipart: ${parts.length} of ${outline.delimiters} parts could be read`;
  }
  if (outline.surroundings) lost ??= 'multipart: text outside the parts';
  const charsets = [...outline.charsets].slice(0, maxCharsets);
  return { parts, oddHeaders: outline.oddHeaders, charsets, cut: !outline.closed, lost };
}

interface Outline {
  /** The boundary occurs. */
  found: boolean;
  /** Delimiters that open a part. */
  delimiters: number;
  closed: boolean;
  /** There is text before the first or after the closing delimiter. */
  surroundings: boolean;
  /** 1 when the last part ends inside its headers. */
  unfinishedHeaders: number;
  readonly oddHeaders: string[];
  readonly charsets: Set<string>;
}

function outlineOf(input: Uint8Array, boundary: string): Outline {
  const bytes = Buffer.from(input.buffer, input.byteOffset, input.byteLength);
  const delimiter = Buffer.from(`--${boundary}`, 'latin1');
  const outline: Outline = {
    found: false,
    delimiters: 0,
    closed: false,
    surroundings: false,
    unfinishedHeaders: 0,
    oddHeaders: [],
    charsets: new Set(),
  };
  let at = bytes.indexOf(delimiter);
  outline.found = at !== -1;
  outline.surroundings = at > 0 && !isBlank(bytes.subarray(0, at));
  while (at !== -1) {
    const after = at + delimiter.length;
    if (bytes[after] === 0x2d && bytes[after + 1] === 0x2d) {
      outline.closed = true;
      outline.surroundings ||= !isBlank(bytes.subarray(after + 2));
      return outline;
    }
    const next = bytes.indexOf(delimiter, after);
    readHeaders(bytes.subarray(after, next === -1 ? bytes.length : next), outline, next === -1);
    at = next;
  }
  return outline;
}

/** Headers that every parser reads in the same way. */
const plainHeaders =
  /^(?:\r\n(?:content-disposition: form-data; name="[^"\\\r\n%]*"(?:; filename="[^"\\\r\n%]*")?|content-type: [\w.+/-]+(?:; ?charset="?[\w-]+"?)?|content-length: \d+|content-transfer-encoding: (?:7bit|8bit|binary)))*$/i;

const charsetParameter = /charset\s{0,8}=\s{0,8}"?([\w.:-]{1,40})/gi;

function readHeaders(part: Buffer, outline: Outline, isLast: boolean): void {
  const end = part.indexOf('\r\n\r\n');
  // The delimiter itself may have been cut, or be the last thing there is.
  if (end === -1 && isLast && isBlank(part)) {
    outline.closed = false;
    return;
  }
  outline.delimiters += 1;
  const block = part.subarray(0, end === -1 ? part.length : end).toString('utf8');
  if (end === -1 && isLast) outline.unfinishedHeaders = 1;
  // Content after unusual line ends would be taken for headers: the raw text shows it (see `lost`).
  for (const [, charset = ''] of block.matchAll(charsetParameter))
    outline.charsets.add(charset.toLowerCase());
  if (!plainHeaders.test(block)) outline.oddHeaders.push(block);
}

function isBlank(bytes: Uint8Array): boolean {
  return bytes.every(
    (byte) => byte === 0x0d || byte === 0x0a || byte === 0x20 || byte === 0x09 || byte === 0x2d,
  );
}

function runBusboy(
  bytes: Buffer,
  boundary: string,
): Promise<{ readonly parts: MultipartPart[]; readonly error: string | undefined }> {
  return new Promise((resolve) => {
    const parts: MultipartPart[] = [];
    let error: string | undefined;
    const finish = (): void => resolve({ parts, error });
    const fail = (cause: unknown): void => {
      error ??= `multipart: ${messageOf(cause)}`;
      // Parts that were already found are still on their way.
      setImmediate(() => setImmediate(finish));
    };
    try {
      const parser = new Busboy({
        headers: { 'content-type': `multipart/form-data; boundary="${boundary.replace(/["\\]/g, '\\$&')}"` },
        preservePath: true,
        // Every part as bytes: busboy would decode fields by a charset of the sender's choice.
        isPartAFile: () => true,
        limits: {
          parts: maxParts,
          files: maxParts,
          fileSize: bytes.length,
          headerPairs: 2000,
          headerSize: 80 * 1024,
        },
      });
      parser.on('file', (name, stream, filename: string | undefined, transferEncoding, type) => {
        const chunks: Uint8Array[] = [];
        stream.on('data', (chunk: Uint8Array) => chunks.push(chunk));
        stream.on('error', fail);
        stream.on('end', () => {
          parts.push({ name: name ?? '', filename, type, transferEncoding, content: Buffer.concat(chunks) });
        });
      });
      parser.on('error', fail);
      parser.on('finish', finish);
      parser.end(bytes);
    } catch (cause) {
      fail(cause);
    }
  });
}
