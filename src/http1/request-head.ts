/*
 * The head of an HTTP/1 request, read as tolerantly as any server behind a proxy may read it: what a proxy has sent on
 * was served by somebody. Text is latin1, one character a byte, so that nothing is lost.
 */

/** Name and value as they came, without the whitespace around them. */
export type Field = readonly [name: string, value: string];

export interface RequestHead {
  /** What stands before the first space. */
  readonly method: string;
  /** What stands between it and the last ` HTTP/`: spaces and bytes of any kind included. */
  readonly target: string;
  /** `1.1`; undefined when the line names none (HTTP/0.9). */
  readonly version: string | undefined;
  /** In the order received. A line without a colon is a name without a value. */
  readonly fields: readonly Field[];
}

/** @param bytes up to the empty line at the end, which may be missing, and so may the end of the last line. */
export function parseRequestHead(bytes: Buffer): RequestHead {
  const text = bytes.toString('latin1');
  const endOfLine = lineEnd(text, 0);
  const line = text.slice(0, endWithoutReturn(text, 0, endOfLine));
  return { ...parseRequestLine(line), fields: parseFields(text, endOfLine + 1) };
}

/** Whether this may be the beginning of a request: a method, which has no control characters, and a space. */
export function mayBeRequest(bytes: Buffer): boolean {
  return /^[^\0-\x20\x7f]+ /.test(bytes.toString('latin1', 0, longestMethodBytes));
}

const longestMethodBytes = 1024;

/** RFC 9112, 3. */
function parseRequestLine(line: string): Omit<RequestHead, 'fields'> {
  const space = line.indexOf(' ');
  const method = space === -1 ? line : line.slice(0, space);
  const rest = space === -1 ? '' : line.slice(space + 1);
  const mark = rest.lastIndexOf(' HTTP/');
  // A target that is missing altogether: `GET HTTP/1.1`.
  if (mark === -1 && rest.startsWith('HTTP/'))
    return { method, target: '', version: versionOf(rest.slice(5)) };
  if (mark === -1) return { method, target: rest.trim(), version: undefined };
  return { method, target: rest.slice(0, mark).trim(), version: versionOf(rest.slice(mark + 6)) };
}

function versionOf(text: string): string {
  return text.trim();
}

/**
 * Field lines up to the first empty one (RFC 9112, 5). A line that begins with a blank goes on with the one before it
 * (5.2, obs-fold).
 * @param start where the first of them begins
 */
export function parseFields(text: string, start = 0): Field[] {
  const fields: [string, string][] = [];
  let at = start;
  while (at < text.length) {
    const end = lineEnd(text, at);
    const last = endWithoutReturn(text, at, end);
    if (last === at) break;
    readLine(text, at, last, fields);
    at = end + 1;
  }
  return fields;
}

function readLine(text: string, start: number, end: number, fields: [string, string][]): void {
  const former = isBlank(text.charCodeAt(start)) ? fields.at(-1) : undefined;
  if (former !== undefined) {
    former[1] = `${former[1]} ${trimmed(text, start, end)}`.trimStart();
    return;
  }
  const colon = text.indexOf(':', start);
  if (colon === -1 || colon >= end) fields.push([trimmed(text, start, end), '']);
  else fields.push([trimmed(text, start, colon), trimmed(text, colon + 1, end)]);
}

function lineEnd(text: string, start: number): number {
  const end = text.indexOf('\n', start);
  return end === -1 ? text.length : end;
}

function endWithoutReturn(text: string, start: number, end: number): number {
  return end > start && text.charCodeAt(end - 1) === carriageReturn ? end - 1 : end;
}

/** Without spaces and tabs at both ends; other white space is part of a value (RFC 9110, 5.6.3). */
function trimmed(text: string, from: number, to: number): string {
  let start = from;
  let end = to;
  while (start < end && isBlank(text.charCodeAt(start))) start += 1;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end -= 1;
  return text.slice(start, end);
}

const carriageReturn = 0x0d;

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}
