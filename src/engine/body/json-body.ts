import { Tokenizer, TokenType } from '@streamparser/json';
import type { WafValue } from '../waf/waf-value.ts';
import { JsonBuilder } from './json-builder.ts';

/*
 * JSON for inspection. A well-formed document with distinct keys goes through JSON.parse. Everything else is read
 * token by token: a document that was cut off gives everything up to the cut, the last string included; repeated keys
 * keep all their values (servers differ in which one they take); several documents in a row (NDJSON) give a list.
 *
 * Nothing recurses: a thousand opening brackets are data like any other. But values cost far more memory than their
 * text, so that documents of very many are left to the raw text.
 */

/** Values and keys that a body may be parsed into: about what libddwaf's time budget of 10 ms is enough for. */
export const maxParsedValues = 20_000;

/** Containers inside each other. Deeper ones cost more to reshape for libddwaf than an attack can be worth. */
const maxParsedDepth = 256;

export interface ParsedJson {
  /** Undefined when there is no value at all. */
  readonly value: WafValue | undefined;
  /** The text ended inside the document. */
  readonly cut: boolean;
  /** What is wrong, other than a missing end. `value` then contains what precedes the error. */
  readonly malformed: string | undefined;
}

/** @param severalDocuments the media type allows documents one after the other; otherwise they are malformed */
export function parseJson(text: string, severalDocuments = false): ParsedJson {
  try {
    if (isCrowded(text)) return tooManyValues;
    if (isSteep(text)) return readTokens(text, severalDocuments);
    const value = JSON.parse(text) as WafValue;
    const { keys, values } = countParsed(value);
    if (values > maxParsedValues) return tooManyValues;
    // Fewer keys than the text has: some were repeated, and JSON.parse keeps the last one only.
    if (keys === countStructuralKeys(text)) return { value, cut: false, malformed: undefined };
  } catch {
    // Cut off or malformed: the tokens tell.
  }
  return readTokens(text, severalDocuments);
}

/** Whether to try undeclared text as JSON: it begins like an object, an array or a string. */
export function looksLikeJson(text: string): boolean {
  return /^[\s\uFEFF]*(?:\{|\[|")/.test(text.slice(0, 1024));
}

const tooManyValues: ParsedJson = {
  value: undefined,
  cut: false,
  malformed: `JSON of more than ${maxParsedValues} values or ${maxParsedDepth} levels: inspected as text`,
};

/** Whether the text may be nested too deeply for JSON.parse's result to be kept; brackets in strings count as well. */
function isSteep(text: string): boolean {
  let depth = 0;
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    // [ { ] }
    if (code === 0x5b || code === 0x7b) depth += 1;
    else if (code === 0x5d || code === 0x7d) depth -= 1;
    if (depth > maxParsedDepth) return true;
  }
  return false;
}

/** Whether parsing could take too much memory; only texts above a megabyte are checked. */
function isCrowded(text: string): boolean {
  if (text.length < 1_000_000) return false;
  let structural = 0;
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    // , [ {
    if (code === 0x2c || code === 0x5b || code === 0x7b) structural += 1;
  }
  return structural > 10 * maxParsedValues;
}

function readTokens(text: string, severalDocuments: boolean): ParsedJson {
  const whole = withoutCutEscape(severalDocuments ? text.replaceAll('\x1e', ' ') : text);
  const builder = new JsonBuilder(4 * maxParsedValues, maxParsedDepth);
  const tokenizer = new Tokenizer({ emitPartialTokens: true });
  let failure: string | undefined;
  tokenizer.onToken = ({ token, value, partial }) => {
    if (!builder.add(token, value ?? null, partial === true))
      throw new Error(`unexpected ${TokenType[token]}`);
  };
  tokenizer.onError = (error) => {
    failure ??= error.message;
  };
  tokenizer.write(whole);
  if (builder.isFull) return tooManyValues;
  const { roots, isOpen } = builder.finish();
  const value = roots.length > 1 ? roots : roots[0];
  const result = (malformed: string | undefined): ParsedJson => ({ value, cut: false, malformed });
  if (failure !== undefined) return result(`not JSON: ${failure.slice(0, 200)}`);
  if (isOpen || roots.length === 0) return { value, cut: text.trim() !== '', malformed: undefined };
  if (whole.length < text.length) return result('not JSON: text after the document');
  if (roots.length > 1 && !severalDocuments) return result(`not JSON: ${roots.length} documents in a row`);
  return result(undefined);
}

/** The text without an escape that its end cut in half: the string before it is delivered only then. */
function withoutCutEscape(text: string): string {
  const cutEscape = /\\(?:u[0-9a-fA-F]{0,3})?$/.exec(text.slice(-5));
  if (cutEscape === null) return text;
  const start = text.length - cutEscape[0].length;
  let backslashes = 0;
  while (text[start - 1 - backslashes] === '\\') backslashes += 1;
  return backslashes % 2 === 0 ? text.slice(0, start) : text;
}

/** Of well-formed JSON: strings that are followed by a colon. */
function countStructuralKeys(text: string): number {
  let count = 0;
  let quote = text.indexOf('"');
  while (quote !== -1) {
    let next = endOfString(text, quote + 1) + 1;
    while (isBlank(text.charCodeAt(next))) next += 1;
    if (text[next] === ':') count += 1;
    quote = text.indexOf('"', next);
  }
  return count;
}

function endOfString(text: string, from: number): number {
  let quote = text.indexOf('"', from);
  while (quote !== -1) {
    let backslashes = 0;
    while (text[quote - 1 - backslashes] === '\\') backslashes += 1;
    if (backslashes % 2 === 0) return quote;
    quote = text.indexOf('"', quote + 1);
  }
  return text.length;
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
}

function countParsed(root: WafValue): { readonly keys: number; readonly values: number } {
  let keys = 0;
  let values = 1;
  const stack: WafValue[] = [root];
  for (let value = stack.pop(); value !== undefined; value = stack.pop()) {
    if (typeof value !== 'object' || value === null) continue;
    const items = Object.values(value) as WafValue[];
    values += items.length;
    if (!Array.isArray(value)) keys += items.length;
    for (const item of items) if (typeof item === 'object' && item !== null) stack.push(item);
  }
  return { keys, values };
}
