// One way to slip past inspection: the bytes as they go over the socket, and what must come of them. The rows
// themselves are in hostile-*.ts beside this file, all of them in hostile-requests.ts.
import type { HaproxyBranch } from '../../../tools/haproxy-binaries.ts';

/** Matches every rule of test/fixtures/rules/e2e.json that blocks with the built-in page. */
export const attack = 'attack-block';

export type Outcome =
  | {
      readonly kind: 'found';
      /** The first address that the security log names. */
      readonly address: string;
      readonly keyPath?: readonly string[];
      /** When it is not the rule of the tests. */
      readonly rule?: string;
    }
  /** HAProxy answers by itself, or closes the connection without an answer; the origin sees nothing. */
  | {
      readonly kind: 'refused';
      readonly status: number | undefined;
      /** What HTTP/2 has in place of an answer, as http2-frames.ts says it. */
      readonly error?: string;
    }
  /** It reaches the origin. `why` stands in docs/security.md. */
  | {
      readonly kind: 'passes';
      readonly why: string;
      readonly status?: number;
      /** A body that is counted as seen in part. */
      readonly partial?: boolean;
    };

/**
 * `ordinary`: the rules of the tests. `large-buffer`: with 64 KiB for tune.bufsize. `recommended`: Datadog's rules.
 * `hurried`: the same with a millisecond for the WAF.
 */
export type Setup = 'ordinary' | 'large-buffer' | 'recommended' | 'hurried';

export interface HostileRequest {
  /** Also the path of the target, see `targetOf`. */
  readonly id: string;
  /** As it stands in docs/security.md. */
  readonly what: string;
  readonly bytes: Buffer;
  readonly outcome: Outcome;
  /** Branches of HAProxy where something else comes of it. */
  readonly but?: Partial<Record<HaproxyBranch, Outcome>>;
  readonly setup?: Setup;
  /** How many answers there are to read; the last one is looked at. */
  readonly answers?: number;
  /** Written when HAProxy has asked for it with 100. */
  readonly afterContinue?: string;
  /** The bytes are HTTP/2: the answer to this stream is looked at. */
  readonly stream?: number;
  /** Written when HAProxy has read the head of the request: the bytes end with a PING. */
  readonly afterPing?: Buffer;
  /** Written when the origin has the head of the request. */
  readonly afterHead?: Buffer;
}

export interface RawParts {
  readonly method?: string;
  readonly target?: string;
  readonly version?: string;
  /** Lines without their ends, a character a byte. A Content-Length is added when there is a body. */
  readonly lines?: readonly string[];
  readonly body?: string | Buffer;
  /** Written behind the request. */
  readonly after?: string;
  /** Line in place of the one that names the host; '' for none. */
  readonly host?: string;
}

/** A path without anything to decode, by which the origin's record tells the rows apart. */
export function targetOf(id: string): string {
  return `/hostile/${id}/`;
}

/** Text of the head is written a character a byte, text of the body in UTF-8. */
export function rawRequest(id: string, parts: RawParts): Buffer {
  const { method = 'GET', target = targetOf(id), version = 'HTTP/1.1', lines = [], body } = parts;
  const { host = 'host: site.example', after = '' } = parts;
  const bytes = Buffer.from(body ?? '');
  const isFramed = lines.some((line) => /^(?:content-length|transfer-encoding) *:/i.test(line));
  const framing = body === undefined || isFramed ? [] : [`content-length: ${bytes.length}`];
  const head = [`${method} ${target} ${version}`, host, ...framing, ...lines].filter((line) => line !== '');
  return Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`, 'latin1'), bytes, Buffer.from(after)]);
}

type RowRest = Pick<HostileRequest, 'but' | 'setup' | 'answers' | 'afterContinue'>;

/** A row whose request is written from parts. */
export function row(
  id: string,
  what: string,
  parts: RawParts,
  outcome: Outcome,
  rest: RowRest = {},
): HostileRequest {
  return { id, what, bytes: rawRequest(id, parts), outcome, ...rest };
}

/** As `row`: a POST with a body of this type. */
export function postRow(
  id: string,
  what: string,
  type: string,
  body: string | Buffer,
  outcome: Outcome,
  rest: RowRest & { readonly lines?: readonly string[] } = {},
): HostileRequest {
  const { lines = [], ...others } = rest;
  return row(id, what, { method: 'POST', lines: [`content-type: ${type}`, ...lines], body }, outcome, others);
}

/** Found in one value of a part of the request, by the rule of the tests. */
export const inQuery = (...keyPath: string[]): Outcome => found('server.request.query', keyPath);
export const inFields = (...keyPath: string[]): Outcome =>
  found('server.request.headers.no_cookies', keyPath);
export const inCookies = (...keyPath: string[]): Outcome => found('server.request.cookies', keyPath);
export const inBody = (...keyPath: string[]): Outcome => found('server.request.body', keyPath);
export const inRawUri: Outcome = { kind: 'found', address: 'server.request.uri.raw' };
/** Somewhere in the body: which of its readings shows the attack first is of no account. */
export const somewhereInBody: Outcome = { kind: 'found', address: 'server.request.body' };
export const refused: Outcome = { kind: 'refused', status: 400 };
export const closed: Outcome = { kind: 'refused', status: undefined };

/** By a rule of Datadog's ruleset. */
export function byRule(rule: string, address: string): Outcome {
  return { kind: 'found', rule, address };
}

export function passes(why: string, status = 200): Outcome {
  return { kind: 'passes', why, status };
}

/** As `passes`, with a body that is counted as seen in part. */
export function passesInPart(why: string): Outcome {
  return { kind: 'passes', why, partial: true };
}

function found(address: string, keyPath: readonly string[]): Outcome {
  return { kind: 'found', address, keyPath };
}
