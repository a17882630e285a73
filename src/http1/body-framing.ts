import type { Field, RequestHead } from './request-head.ts';

/** Where the body of a request ends (RFC 9112, 6.3). */
export type BodyFraming =
  | { readonly kind: 'none' }
  | { readonly kind: 'length'; readonly bytes: number }
  | { readonly kind: 'chunked' }
  /** Nobody can tell: what follows on the connection belongs to it, and to nothing else. */
  | { readonly kind: 'unknown'; readonly problem: string };

export interface Framing {
  readonly body: BodyFraming;
  /** A further request may follow on the connection (RFC 9112, 9.3). */
  readonly persistent: boolean;
  /** The sender waits for `100 Continue` before it sends the body (RFC 9110, 10.1.1). */
  readonly expectsContinue: boolean;
  /** HTTP/1.0 or older: a connection that stays open has to be told so. */
  readonly old: boolean;
}

export function framingOf({ version, fields }: RequestHead): Framing {
  const old = version === undefined || /^[01]\.0|^0/.test(version);
  const connection = tokensOf(fields, 'connection');
  const body = bodyOf(fields);
  const asked = old ? connection.includes('keep-alive') : !connection.includes('close');
  const expects = body.kind === 'length' || body.kind === 'chunked';
  return {
    body,
    persistent: asked && version !== undefined && body.kind !== 'unknown',
    expectsContinue: expects && !old && tokensOf(fields, 'expect').includes('100-continue'),
    old,
  };
}

/** Both lengths: chunked wins. Lengths that agree are one. */
function bodyOf(fields: readonly Field[]): BodyFraming {
  const codings = tokensOf(fields, 'transfer-encoding').filter((coding) => coding !== 'identity');
  if (codings.at(-1) === 'chunked') return { kind: 'chunked' };
  if (codings.length > 0)
    return { kind: 'unknown', problem: 'Transfer-Encoding that does not end in chunked' };
  const [length, ...others] = tokensOf(fields, 'content-length');
  if (length === undefined) return { kind: 'none' };
  if (!/^\d+$/.test(length)) return { kind: 'unknown', problem: 'Content-Length that is no number' };
  const bytes = Number(length);
  if (others.some((other) => !/^\d+$/.test(other) || Number(other) !== bytes)) {
    return { kind: 'unknown', problem: 'several values of Content-Length' };
  }
  return bytes === 0 ? { kind: 'none' } : { kind: 'length', bytes };
}

/** The members of a list of tokens, of all fields of this name, in lower case. */
function tokensOf(fields: readonly Field[], name: string): string[] {
  const tokens: string[] = [];
  for (const [fieldName, value] of fields) {
    if (fieldName.length !== name.length || fieldName.toLowerCase() !== name) continue;
    for (const token of value.split(',')) {
      const bare = token.trim().toLowerCase();
      if (bare !== '') tokens.push(bare);
    }
  }
  return tokens;
}
