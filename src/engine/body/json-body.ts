import { Tokenizer, TokenType } from '@streamparser/json';
import type { WafValue } from '../waf/waf-value.ts';

/*
 * JSON for inspection. A well-formed document with distinct keys goes through JSON.parse. Everything else is read
 * token by token: a document that was cut off gives everything up to the cut, the last string included; repeated keys
 * keep all their values (servers differ in which one they take); several documents in a row (NDJSON) give a list.
 *
 * Nothing recurses: 100,000 opening brackets are data like any other.
 */

export interface ParsedJson {
  /** Undefined when there is no value at all. */
  readonly value: WafValue | undefined;
  /** The text ended inside the document. */
  readonly cut: boolean;
  /** What is wrong, other than the end missing. `value` then holds what came before. */
  readonly malformed: string | undefined;
}

/** @param severalDocuments the media type allows documents one after the other; otherwise they are malformed */
export function parseJson(text: string, severalDocuments = false): ParsedJson {
  try {
    const value = JSON.parse(text) as WafValue;
    // Fewer keys than the text has: some were repeated, and JSON.parse keeps the last one only.
    if (countKeys(value) === countStructuralKeys(text)) return { value, cut: false, malformed: undefined };
  } catch {
    // Cut off or malformed: the tokens tell.
  }
  return readTokens(text, severalDocuments);
}

/** Whether text that nobody called JSON should be tried: it begins as an object, an array or a string does. */
export function looksLikeJson(text: string): boolean {
  return /^[\s\uFEFF]*(?:\{|\[|")/.test(text.slice(0, 1024));
}

function readTokens(text: string, severalDocuments: boolean): ParsedJson {
  const whole = withoutCutEscape(severalDocuments ? text.replaceAll('\x1e', ' ') : text);
  const builder = new Builder();
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

function countKeys(root: WafValue): number {
  let count = 0;
  const stack: WafValue[] = [root];
  for (let value = stack.pop(); value !== undefined; value = stack.pop()) {
    if (typeof value !== 'object' || value === null) continue;
    if (!Array.isArray(value)) count += Object.keys(value).length;
    for (const item of Object.values(value)) if (typeof item === 'object' && item !== null) stack.push(item);
  }
  return count;
}

type MutableRecord = Record<string, WafValue>;

/** One container that is being read. */
interface Frame {
  readonly list: WafValue[] | undefined;
  readonly record: MutableRecord | undefined;
  expects: 'value' | 'first-value' | 'key' | 'first-key' | 'colon' | 'comma';
  key: string;
  /** Values of keys that came more than once. */
  repeated: Map<string, WafValue[]> | undefined;
}

/** Tokens to values, with a stack of its own. */
class Builder {
  readonly #roots: WafValue[] = [];
  readonly #stack: Frame[] = [];
  #endsInToken = false;

  finish(): { readonly roots: readonly WafValue[]; readonly isOpen: boolean } {
    const frame = this.#stack.at(-1);
    // A key whose value is missing is still there to be looked at.
    if (frame?.record !== undefined && (frame.expects === 'colon' || frame.expects === 'value')) {
      store(frame, frame.record, null);
    }
    return { roots: this.#roots, isOpen: this.#endsInToken || this.#stack.length > 0 };
  }

  /** Returns false when the token cannot stand here. */
  add(token: TokenType, value: string | number | boolean | null, partial: boolean): boolean {
    const frame = this.#stack.at(-1);
    // A number at the very end may be whole.
    if (partial && (frame !== undefined || token !== TokenType.NUMBER)) this.#endsInToken = true;
    switch (token) {
      case TokenType.LEFT_BRACE:
        return this.#open(frame, undefined, Object.create(null) as MutableRecord);
      case TokenType.LEFT_BRACKET:
        return this.#open(frame, [], undefined);
      case TokenType.RIGHT_BRACE:
        return this.#close(
          frame?.record !== undefined && (frame.expects === 'first-key' || frame.expects === 'comma'),
        );
      case TokenType.RIGHT_BRACKET:
        return this.#close(
          frame?.list !== undefined && (frame.expects === 'first-value' || frame.expects === 'comma'),
        );
      case TokenType.COLON:
        if (frame?.expects !== 'colon') return false;
        frame.expects = 'value';
        return true;
      case TokenType.COMMA:
        if (frame?.expects !== 'comma') return false;
        frame.expects = frame.record === undefined ? 'value' : 'key';
        return true;
      case TokenType.SEPARATOR:
        return true;
      default:
        return this.#scalar(frame, value);
    }
  }

  #scalar(frame: Frame | undefined, value: string | number | boolean | null): boolean {
    if (frame !== undefined && (frame.expects === 'key' || frame.expects === 'first-key')) {
      if (typeof value !== 'string') return false;
      frame.key = value;
      frame.expects = 'colon';
      return true;
    }
    return this.#place(frame, value);
  }

  #open(frame: Frame | undefined, list: WafValue[] | undefined, record: MutableRecord | undefined): boolean {
    if (!this.#place(frame, list ?? record ?? null)) return false;
    const expects = record === undefined ? 'first-value' : 'first-key';
    this.#stack.push({ list, record, expects, key: '', repeated: undefined });
    return true;
  }

  #close(isAllowed: boolean): boolean {
    if (isAllowed) this.#stack.pop();
    return isAllowed;
  }

  #place(frame: Frame | undefined, value: WafValue): boolean {
    if (frame === undefined) {
      this.#roots.push(value);
      return true;
    }
    if (frame.expects !== 'value' && frame.expects !== 'first-value') return false;
    if (frame.record !== undefined) store(frame, frame.record, value);
    else frame.list?.push(value);
    frame.expects = 'comma';
    return true;
  }
}

function store(frame: Frame, record: MutableRecord, value: WafValue): void {
  const { key } = frame;
  if (!(key in record)) {
    record[key] = value;
    return;
  }
  frame.repeated ??= new Map();
  let values = frame.repeated.get(key);
  if (values === undefined) {
    values = [record[key] ?? null];
    frame.repeated.set(key, values);
    record[key] = values;
  }
  values.push(value);
}
