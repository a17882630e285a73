import { TokenType } from '@streamparser/json';
import type { WafValue } from '../waf/waf-value.ts';

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

/** Tokens to values, with a stack of its own. Values of repeated keys are put into a list. */
export class JsonBuilder {
  readonly #roots: WafValue[] = [];
  readonly #stack: Frame[] = [];
  #endsInToken = false;
  /** Tokens. */
  #count = 0;
  readonly #maxTokens: number;
  readonly #maxDepth: number;

  constructor(maxTokens: number, maxDepth: number) {
    this.#maxTokens = maxTokens;
    this.#maxDepth = maxDepth;
  }

  get isFull(): boolean {
    return this.#count > this.#maxTokens || this.#stack.length > this.#maxDepth;
  }

  finish(): { readonly roots: readonly WafValue[]; readonly isOpen: boolean } {
    const frame = this.#stack.at(-1);
    // A key without its value is still inspected.
    if (frame?.record !== undefined && (frame.expects === 'colon' || frame.expects === 'value')) {
      store(frame, frame.record, null);
    }
    return { roots: this.#roots, isOpen: this.#endsInToken || this.#stack.length > 0 };
  }

  /** Returns false when the token cannot stand here. */
  add(token: TokenType, value: string | number | boolean | null, partial: boolean): boolean {
    this.#count += 1;
    if (this.isFull) return false;
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
