import type { Line, Section } from './parse.ts';

/*
 * How much of HAProxy's buffer the lines of a section add to a head. Literal text is counted; of what is fetched when a
 * request comes, the usual size is assumed, and what the client alone decides is named and not counted.
 */

export type Direction = 'request' | 'response';

export interface Addition {
  readonly line: Line;
  /** For people: `set-header X-Client-Cert`. */
  readonly name: string;
  readonly bytes: number;
  /** Fetches of it whose size the client decides. */
  readonly copies: readonly string[];
  /** Additions with the same key stand in one another's place. */
  readonly key: string;
}

/** HAProxy's bookkeeping for one header. */
const blockBytes = 8;

/** The bytes of samples whose size is known well enough; the first that matches counts. */
const usualSizes: readonly (readonly [RegExp, number])[] = [
  [/^ssl_[cf]_chain_der/, 3_000],
  [/^ssl_[cf]_der/, 1_500],
  [/^ssl_[cf]_[si]_dn/, 200],
  [/^var\(txn\.dd\./, 32],
  [/^(var|unique-id)/, 64],
];
const anySampleBytes = 40;

const decidedByClient =
  /^(req\.f?hdr|f?hdr|req\.hdrs|req\.cook|cook|res\.f?hdr|s?hdr|path|pathq|url|uri|base|base32|query|url_param|urlp|req\.body|capture\.req|req_ssl_sni)\b/;

/** Action, and the positions of name and value among the words after it. */
const rewriting: Readonly<Record<string, readonly [nameAt: number | undefined, valueAt: number]>> = {
  'set-header': [0, 1],
  'add-header': [0, 1],
  'replace-header': [0, 2],
  'replace-value': [0, 2],
  'set-path': [undefined, 0],
  'set-pathq': [undefined, 0],
  'set-query': [undefined, 0],
  'set-uri': [undefined, 0],
  'replace-path': [undefined, 1],
  'replace-pathq': [undefined, 1],
  'replace-uri': [undefined, 1],
};

/** Headers that options of a proxy add to a request: an address each. */
const addingOptions: Readonly<Record<string, number>> = { forwardfor: 70, originalto: 70, forwarded: 150 };

/** HAProxy cuts an id off there. */
const longestUniqueId = 128;

export function additionsOf(section: Section, direction: Direction): Addition[] {
  return section.lines.flatMap((line) => {
    const addition = byRule(line, direction) ?? byOption(section, line, direction);
    return addition === undefined ? [] : [addition];
  });
}

/** Of those that stand in one another's place the largest counts. */
export function totalBytes(additions: readonly Addition[]): number {
  const largest = new Map<string, number>();
  for (const { key, bytes } of additions) largest.set(key, Math.max(bytes, largest.get(key) ?? 0));
  return [...largest.values()].reduce((sum, bytes) => sum + bytes, 0);
}

function byRule(line: Line, direction: Direction): Addition | undefined {
  const [keyword = '', action = '', ...rest] = line.words;
  const isResponse = keyword === 'http-response' || keyword === 'http-after-response';
  if (direction === 'request' ? keyword !== 'http-request' : !isResponse) return undefined;
  const places = rewriting[action];
  if (places === undefined) return undefined;
  const [nameAt, valueAt] = places;
  const header = nameAt === undefined ? '' : (rest[nameAt] ?? '');
  const value = sizeOfFormat(rest[valueAt] ?? '');
  const place = `${line.file}:${line.number}`;
  return {
    ...{ line, name: header === '' ? action : `${action} ${header}` },
    ...{ bytes: header.length + value.bytes + blockBytes, copies: value.copies },
    key: action === 'set-header' ? header.toLowerCase() : action.startsWith('set-') ? action : place,
  };
}

function byOption(section: Section, line: Line, direction: Direction): Addition | undefined {
  const [keyword = '', second = ''] = line.words;
  const of = (name: string, bytes: number): Addition => ({ line, name, bytes, copies: [], key: name });
  if (direction === 'response') {
    if (keyword !== 'cookie' || !line.words.includes('insert')) return undefined;
    const values = section.lines
      .filter(({ words }) => words[0] === 'server')
      .map(({ words }) => (words.includes('cookie') ? (words[words.indexOf('cookie') + 1] ?? '') : ''));
    return of(`cookie ${second}`, 40 + second.length + Math.max(0, ...values.map(({ length }) => length)));
  }
  if (keyword === 'option' && addingOptions[second] !== undefined)
    return of(`option ${second}`, addingOptions[second]);
  if (keyword === 'unique-id-header')
    return of(`unique-id-header ${second}`, second.length + longestUniqueId + blockBytes);
  return undefined;
}

interface FormatSize {
  readonly bytes: number;
  readonly copies: readonly string[];
}

/** Of a log-format string (configuration manual, 8.2.6). */
function sizeOfFormat(format: string): FormatSize {
  const copies: string[] = [];
  let bytes = 0;
  let at = 0;
  while (at < format.length) {
    if (format.charAt(at) !== '%') {
      bytes += Buffer.byteLength(format.charAt(at));
      at += 1;
      continue;
    }
    const flags = /^%(?:\{[^}]*\})?/.exec(format.slice(at))?.[0] ?? '%';
    at += flags.length;
    if (format.charAt(at) === '[') {
      const end = closingBracket(format, at);
      const expression = format.slice(at + 1, end);
      if (decidedByClient.test(expression)) copies.push(expression.split(',')[0] ?? '');
      bytes += sampleBytes(expression);
      at = end + 1;
    } else {
      const alias = /^(?:%|[A-Za-z]+)/.exec(format.slice(at))?.[0] ?? '';
      bytes += alias === '%' ? 1 : anySampleBytes;
      at += alias.length;
    }
  }
  return { bytes, copies };
}

function sampleBytes(expression: string): number {
  const literal = /^str\((.*?)\)/.exec(expression)?.[1];
  if (literal !== undefined) return literal.length;
  if (decidedByClient.test(expression)) return 0;
  const usual = usualSizes.find(([fetch]) => fetch.test(expression))?.[1] ?? anySampleBytes;
  const encoded = /,hex\b/.test(expression) ? 2 : /,base64/.test(expression) ? 4 / 3 : 1;
  return Math.ceil(usual * encoded);
}

function closingBracket(format: string, open: number): number {
  let depth = 0;
  for (let at = open; at < format.length; at += 1) {
    if (format.charAt(at) === '[') depth += 1;
    if (format.charAt(at) === ']') depth -= 1;
    if (depth === 0) return at;
  }
  return format.length;
}
