// Content codings.
import { brotliCompressSync, deflateRawSync, gzipSync, zstdCompressSync } from 'node:zlib';
import {
  attack,
  type HostileRequest,
  inBody,
  type Outcome,
  passes,
  passesInPart,
  postRow,
  row,
  somewhereInBody,
} from './hostile-request.ts';

const document = JSON.stringify({ a: attack });

const coded = (
  id: string,
  what: string,
  coding: string,
  body: Buffer | string,
  outcome: Outcome,
): HostileRequest =>
  postRow(id, what, 'application/json', body, outcome, { lines: [`content-encoding: ${coding}`] });
const gzipTimes = (times: number): Buffer =>
  times === 0 ? Buffer.from(document) : gzipSync(gzipTimes(times - 1));
const damaged = Buffer.from(gzipSync(document));
damaged.writeUInt32LE(0, damaged.length - 8);

export const hostileCompressed: readonly HostileRequest[] = [
  coded('gzip', 'compressed: gzip', 'gzip', gzipSync(document), inBody('a')),
  coded(
    'gzip-odd-case',
    'compressed: `X-GZip`, and `identity`',
    'identity, X-GZip',
    gzipSync(document),
    inBody('a'),
  ),
  coded(
    'gzip-cut',
    'compressed: truncated gzip',
    'gzip',
    gzipSync(document).subarray(0, -6),
    somewhereInBody,
  ),
  coded('gzip-checksum', 'compressed: gzip with a wrong checksum', 'gzip', damaged, somewhereInBody),
  coded(
    'gzip-members',
    'compressed: gzip in two members',
    'gzip',
    Buffer.concat([gzipSync('{"b":1,'), gzipSync(`"a":"${attack}"}`)]),
    somewhereInBody,
  ),
  coded(
    'gzip-behind',
    'compressed: text after the gzip',
    'gzip',
    Buffer.concat([gzipSync('{}'), Buffer.from(attack)]),
    somewhereInBody,
  ),
  coded('gzip-lie', 'compressed: plain text declared as gzip', 'gzip', document, somewhereInBody),
  coded(
    'gzip-five-times',
    'compressed: gzip five times',
    'gzip, gzip, gzip, gzip, gzip',
    gzipTimes(5),
    inBody('a'),
  ),
  coded(
    'gzip-six-times',
    'compressed: gzip six times',
    'gzip, gzip, gzip, gzip, gzip, gzip',
    gzipTimes(6),
    passes('at most five codings are decoded'),
  ),
  coded(
    'gzip-among-others',
    'compressed: gzip among unknown codings',
    'x-any, "gzip";q=1',
    gzipSync(document),
    somewhereInBody,
  ),
  coded(
    'gzip-bomb-first',
    'compressed: 8 MB from 8 KB, the attack at its start',
    'gzip',
    gzipSync(JSON.stringify({ a: attack, b: 'x'.repeat(8_000_000) })),
    somewhereInBody,
  ),
  coded(
    'gzip-bomb-last',
    'compressed: 8 MB from 8 KB, the attack at its end',
    'gzip',
    gzipSync(JSON.stringify({ b: 'x'.repeat(8_000_000), a: attack })),
    passesInPart('only the first `APPSEC_EDGE_MAX_DECOMPRESSED_SIZE` bytes are decompressed'),
  ),
  coded(
    'deflate-raw',
    'compressed: deflate without its zlib header',
    'deflate',
    deflateRawSync(document),
    inBody('a'),
  ),
  coded('brotli', 'compressed: brotli', 'br', brotliCompressSync(document), inBody('a')),
  coded('zstd', 'compressed: zstd', 'zstd', zstdCompressSync(document), inBody('a')),
  coded('coding-unknown', 'compressed: an unknown coding', 'x-squeezed', document, somewhereInBody),
  row(
    'gzip-undeclared',
    'compressed: gzip without Content-Encoding',
    { method: 'POST', lines: ['content-type: application/json'], body: gzipSync(document) },
    passes('bytes without a declared coding are inspected as they are'),
  ),
];
