import {
  constants,
  createBrotliDecompress,
  createGunzip,
  createInflate,
  createInflateRaw,
  createZstdDecompress,
} from 'node:zlib';
import { type HeaderList, headerValues } from '../http.ts';

/*
 * Decodes Content-Encoding (RFC 9110, 8.4), off the main thread and within a limit.
 *
 * Compressed data that ends early, is damaged, carries a wrong checksum or is followed by something else still gives
 * all that a lenient recipient could get out of it: node:zlib withholds the output of the step that fails, so a
 * failed run is repeated with ever smaller steps up to the very byte.
 */

export interface DecodedBody {
  readonly bytes: Uint8Array;
  /** The compressed data ended early, or the bound was reached. */
  readonly cut: boolean;
  /** Why `bytes` is not, or not certainly, what the sender meant. */
  readonly malformed: string | undefined;
  /** Nothing could be decoded: `bytes` is the body as it was sent. */
  readonly undecoded: boolean;
}

/** As many codings as anybody has a reason to stack. */
const maxCodings = 5;

/** The codings to undo, in the order they were applied, without `identity`; lower case. */
export function contentCodings(headers: HeaderList): string[] {
  const codings: string[] = [];
  for (const value of headerValues(headers, 'content-encoding')) {
    for (const item of value.split(',')) {
      const coding = item.trim().toLowerCase();
      if (coding !== '' && coding !== 'identity') codings.push(coding);
    }
  }
  return codings;
}

/** Never rejects. `maxBytes` bounds the output of every step. */
export async function decodeContent(
  bytes: Uint8Array,
  codings: readonly string[],
  maxBytes: number,
): Promise<DecodedBody> {
  const raw = (malformed: string): DecodedBody => ({
    bytes,
    cut: false,
    malformed,
    undecoded: true,
  });
  if (codings.length > maxCodings)
    return raw(`content-encoding: ${codings.length} codings, at most ${maxCodings}`);
  let decoded: DecodedBody = {
    bytes,
    cut: false,
    malformed: undefined,
    undecoded: false,
  };
  let known = 0;
  for (const coding of codings.toReversed()) {
    const decode = decoders[coding.replace(decoration, '')];
    if (decode === undefined) {
      // Some servers search for a known word and ignore the rest.
      decoded = {
        ...decoded,
        malformed: decoded.malformed ?? `content-encoding: ${coding.slice(0, 40)} is unknown`,
      };
      continue;
    }
    known += 1;
    const step = await decode(decoded.bytes, maxBytes);
    if (step.bytes.length === 0 && bytes.length > 0 && (step.error !== undefined || step.cut)) {
      // Nothing could be decoded, not even in part: the body is inspected as it was sent.
      return {
        ...raw(`content-encoding: ${coding}: ${step.error ?? 'cut off too early to decode'}`),
        cut: step.cut,
      };
    }
    decoded = {
      bytes: step.bytes,
      cut: decoded.cut || step.cut,
      malformed: decoded.malformed ?? describe(coding, step),
      undecoded: false,
    };
  }
  return known === 0 && codings.length > 0 ? raw(decoded.malformed ?? '') : decoded;
}

/** Quotes and parameters, which codings do not have. */
const decoration = /["'\s]|;.*/g;

interface Step {
  readonly bytes: Uint8Array;
  /** Bytes after the end of the compressed data. */
  readonly trailingBytes: number;
  readonly cut: boolean;
  readonly error: string | undefined;
}

type Decode = (bytes: Uint8Array, maxBytes: number) => Promise<Step>;
type Engine = ReturnType<typeof createGunzip>;

const decoders: Readonly<Record<string, Decode | undefined>> = Object.assign(Object.create(null), {
  gzip: decodeWith(() => createGunzip({ flush: constants.Z_SYNC_FLUSH })),
  'x-gzip': decodeWith(() => createGunzip({ flush: constants.Z_SYNC_FLUSH })),
  deflate: decodeDeflate,
  br: decodeWith(() => createBrotliDecompress({ flush: constants.BROTLI_OPERATION_FLUSH })),
  zstd: decodeWith(() => createZstdDecompress({ flush: constants.ZSTD_e_flush })),
});

function describe(coding: string, step: Step): string | undefined {
  if (step.error !== undefined) return `content-encoding: ${coding}: ${step.error}`;
  if (step.trailingBytes > 0) return `content-encoding: ${coding}: ${step.trailingBytes} bytes after the end`;
  return undefined;
}

/** "deflate" is zlib's format; some senders leave its header out and recipients put up with it (RFC 9110, 8.4.1.2). */
async function decodeDeflate(bytes: Uint8Array, maxBytes: number): Promise<Step> {
  const [first = 0, second = 0] = bytes;
  const hasHeader = (first & 0x0f) === 8 && (first * 256 + second) % 31 === 0;
  const inflated = hasHeader ? await inflate(bytes, maxBytes) : undefined;
  if (inflated !== undefined && inflated.error === undefined) return inflated;
  const rawInflated = await inflateRaw(bytes, maxBytes);
  return inflated !== undefined && inflated.bytes.length >= rawInflated.bytes.length ? inflated : rawInflated;
}

const inflate = decodeWith(() => createInflate({ flush: constants.Z_SYNC_FLUSH }));
const inflateRaw = decodeWith(() => createInflateRaw({ flush: constants.Z_SYNC_FLUSH }));

/** Concatenated members of one body; each costs a decoder of its own. */
const maxMembers = 16;

function decodeWith(create: () => Engine): Decode {
  return async (bytes, maxBytes) => {
    const output: Uint8Array[] = [];
    let left = maxBytes;
    let from = 0;
    // Concatenated zstd frames are one body (RFC 8878, 3.1); node:zlib stops after the first.
    for (let members = 0; from < bytes.length && members < maxMembers; members += 1) {
      const rest = bytes.subarray(from);
      const run = await pump(create, rest, 0, rest.length, left);
      const good = run.error === undefined ? run : await salvage(create, rest, left);
      if (from > 0 && good.output.length === 0) break;
      output.push(good.output);
      left -= good.output.length;
      const step = { bytes: Buffer.concat(output), trailingBytes: 0 };
      if (run.error !== undefined) return { ...step, cut: false, error: run.error };
      if (good.cut || left <= 0) return { ...step, cut: true, error: undefined };
      if (good.consumed === 0) break;
      from += good.consumed;
    }
    return { bytes: Buffer.concat(output), trailingBytes: bytes.length - from, cut: false, error: undefined };
  };
}

interface Run {
  readonly output: Uint8Array;
  /** Bytes of input that were used; in a failed run those of the steps that succeeded. */
  readonly consumed: number;
  readonly cut: boolean;
  readonly error: string | undefined;
}

/** Everything in front of the byte that fails. Four runs of at most some hundred steps each. */
async function salvage(create: () => Engine, bytes: Uint8Array, maxBytes: number): Promise<Run> {
  let good = 0;
  let run: Run = { output: new Uint8Array(), consumed: 0, cut: false, error: undefined };
  for (const stepBytes of [Math.max(4096, Math.ceil(bytes.length / 256)), 256, 16, 1]) {
    run = await pump(create, bytes, good, stepBytes, maxBytes);
    if (run.error === undefined) break;
    good = run.consumed;
  }
  return run;
}

/** One run: the first `start` bytes at once, the others in steps. Ends at the end, at the bound or at an error. */
function pump(
  create: () => Engine,
  bytes: Uint8Array,
  start: number,
  stepBytes: number,
  maxBytes: number,
): Promise<Run> {
  return new Promise((resolve) => {
    const engine = create();
    const output: Uint8Array[] = [];
    let size = 0;
    let written = 0;
    let isDone = false;
    const finish = (run: Omit<Run, 'output'>): void => {
      if (isDone) return;
      isDone = true;
      resolve({ ...run, output: Buffer.concat(output).subarray(0, maxBytes) });
      engine.destroy();
    };
    engine.on('data', (chunk: Uint8Array) => {
      if (isDone) return;
      output.push(chunk);
      size += chunk.length;
      if (size >= maxBytes) finish({ consumed: bytes.length, cut: true, error: undefined });
    });
    engine.on('error', (error: NodeJS.ErrnoException) => {
      // Z_BUF_ERROR at the end: the data stops before its end.
      const isCut = error.code === 'Z_BUF_ERROR';
      finish({
        consumed: isCut ? bytes.length : written,
        cut: isCut,
        error: isCut ? undefined : error.message,
      });
    });
    engine.on('end', () => finish({ consumed: engine.bytesWritten, cut: false, error: undefined }));
    const writeFrom = (from: number): void => {
      if (isDone) return;
      written = from;
      if (from >= bytes.length) {
        engine.end();
        return;
      }
      const to = from < start ? start : Math.min(bytes.length, from + stepBytes);
      engine.write(bytes.subarray(from, to), () => writeFrom(to));
    };
    writeFrom(0);
  });
}
