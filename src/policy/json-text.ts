/*
 * Positions in JSON text. JSON.parse does not say on which line a value is, rarely says where a mistake is, and never
 * that a key is repeated and only its last value counts.
 */

/** Keys and indices from the root to a value. */
export type JsonPath = readonly (string | number)[];

export interface JsonMistake {
  readonly line: number;
  readonly column: number;
  readonly problem: string;
}

export interface ScannedJson {
  /** The first mistake; undefined when JSON.parse takes the text. */
  readonly mistake: JsonMistake | undefined;
  /** Values that JSON.parse drops, because their key comes again in the same object. */
  readonly dropped: readonly { readonly path: JsonPath; readonly line: number }[];
  /** Of a value, or of the nearest one around it. */
  lineOf(path: JsonPath): number;
}

/** `rules_override[0].rules_target[0].rule_id`, as people write it. */
export function pathText(path: JsonPath): string {
  return path
    .map((part, index) => {
      if (typeof part === 'number') return `[${part}]`;
      if (!/^[A-Za-z_$][\w$-]*$/.test(part)) return `[${JSON.stringify(part)}]`;
      return index === 0 ? part : `.${part}`;
    })
    .join('');
}

/** `line 2, column 5: …` */
export function mistakeText({ line, column, problem }: JsonMistake): string {
  return `line ${line}, column ${column}: ${problem}`;
}

/** An object or list whose end has not been read yet. */
interface Open {
  readonly isObject: boolean;
  readonly node: Node;
  /** Of the value that comes next. */
  key: string | number;
}

/** Where a value begins. For a string or number only that: lists of thousands of entries are common. */
type Place = number | Node;

/** Where an object or list begins, and where its entries do. */
interface Node {
  readonly offset: number;
  readonly children: Map<string, Place> | Place[];
}

function childOf({ children }: Node, key: string | number): Place | undefined {
  return Array.isArray(children)
    ? typeof key === 'number'
      ? children[key]
      : undefined
    : children.get(String(key));
}

function offsetOf(place: Place): number {
  return typeof place === 'number' ? place : place.offset;
}

const whitespace = /[ \t\n\r]*/y;
const bareScalar = /(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)/y;
const escaped = /\\(?:["\\/bfnrt]|u[\da-fA-F]{4})/y;

/** The position after the closing quote; undefined if it is missing, or a character in between must be escaped. */
function endOfQuoted(text: string, start: number): number | undefined {
  let at = start + 1;
  for (;;) {
    const unit = text.charCodeAt(at);
    if (unit === 0x22) return at + 1;
    if (unit === 0x5c) {
      escaped.lastIndex = at;
      if (!escaped.test(text)) return undefined;
      at = escaped.lastIndex;
    } else if (unit >= 0x20) at += 1;
    // A control character, or NaN at the end of the text.
    else return undefined;
  }
}

/** Reads the text without recursion: it may be nested to any depth. */
export function scanJson(text: string): ScannedJson {
  return new JsonScanner(text).scan();
}

/** A method that finds a mistake returns what is wrong at the current position, and undefined otherwise. */
class JsonScanner {
  readonly #text: string;
  readonly #lineAt: (offset: number) => number;
  readonly #dropped: { path: JsonPath; line: number }[] = [];
  /** The objects and lists around the current position, the innermost last. */
  readonly #open: Open[] = [];
  #state: 'before-value' | 'after-value' | 'done' = 'before-value';
  #root: Place = 0;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
    this.#lineAt = lineFinder(text);
  }

  scan(): ScannedJson {
    let problem: string | undefined;
    while (problem === undefined && this.#state !== 'done') {
      problem = this.#state === 'before-value' ? this.#readValue() : this.#readAfterValue();
    }
    return {
      mistake: problem === undefined ? undefined : { ...placeOf(this.#text, this.#at), problem },
      dropped: this.#dropped,
      lineOf: (path) => this.#lineAt(offsetOf(this.#placeAt(path))),
    };
  }

  #readValue(): string | undefined {
    const first = this.#skipWhitespace();
    if (first === '{' || first === '[') return this.#openContainer(first === '{');
    this.#put(this.#at);
    this.#state = 'after-value';
    return this.#takeScalar() === undefined ? this.#unexpected('a value') : undefined;
  }

  #openContainer(isObject: boolean): string | undefined {
    const node: Node = { offset: this.#at, children: isObject ? new Map() : [] };
    const inside: Open = { isObject, node, key: 0 };
    this.#put(node);
    this.#at += 1;
    if (this.#skipWhitespace() === closingOf(inside)) {
      this.#at += 1;
      this.#state = 'after-value';
      return undefined;
    }
    this.#open.push(inside);
    return isObject ? this.#readKey(inside) : undefined;
  }

  #readAfterValue(): string | undefined {
    const inside = this.#open.at(-1);
    const next = this.#skipWhitespace();
    if (inside === undefined) {
      this.#state = 'done';
      return next === '' ? undefined : this.#unexpected('the end of the text');
    }
    if (next === closingOf(inside)) {
      this.#open.pop();
      this.#at += 1;
      return undefined;
    }
    return next === ',' ? this.#readComma(inside) : this.#unexpected(`',' or '${closingOf(inside)}'`);
  }

  #readComma(inside: Open): string | undefined {
    const comma = this.#at;
    this.#at += 1;
    if (this.#skipWhitespace() === closingOf(inside)) {
      this.#at = comma;
      return 'trailing comma: JSON allows none after the last entry';
    }
    this.#state = 'before-value';
    if (inside.isObject) return this.#readKey(inside);
    inside.key = Number(inside.key) + 1;
    return undefined;
  }

  /** `"key":` */
  #readKey(inside: Open): string | undefined {
    if (this.#skipWhitespace() !== '"') return this.#unexpected('a key in double quotes');
    const key = this.#takeScalar();
    if (key === undefined) return this.#unexpected('the end of the string');
    inside.key = key.includes('\\') ? (JSON.parse(key) as string) : key.slice(1, -1);
    if (this.#skipWhitespace() !== ':') return this.#unexpected("':'");
    this.#at += 1;
    return undefined;
  }

  /** Returns the character after it; '' at the end of the text. */
  #skipWhitespace(): string {
    whitespace.lastIndex = this.#at;
    whitespace.exec(this.#text);
    this.#at = whitespace.lastIndex;
    return this.#text[this.#at] ?? '';
  }

  /** The text of a string, number or literal; undefined when there is none here. */
  #takeScalar(): string | undefined {
    const start = this.#at;
    let end: number | undefined;
    if (this.#text[start] === '"') end = endOfQuoted(this.#text, start);
    else {
      bareScalar.lastIndex = start;
      if (bareScalar.test(this.#text)) end = bareScalar.lastIndex;
    }
    if (end === undefined) return undefined;
    this.#at = end;
    return this.#text.slice(start, end);
  }

  #put(place: Place): void {
    const inside = this.#open.at(-1);
    if (inside === undefined) {
      this.#root = place;
      return;
    }
    const { children } = inside.node;
    if (Array.isArray(children)) {
      children.push(place);
      return;
    }
    const key = String(inside.key);
    const before = children.get(key);
    if (before !== undefined) {
      this.#dropped.push({
        path: this.#open.map((around) => around.key),
        line: this.#lineAt(offsetOf(before)),
      });
    }
    children.set(key, place);
  }

  #placeAt(path: JsonPath): Place {
    let place = this.#root;
    for (const key of path) {
      const child: Place | undefined = typeof place === 'number' ? undefined : childOf(place, key);
      if (child === undefined) break;
      place = child;
    }
    return place;
  }

  #unexpected(wanted: string): string {
    return unexpected(this.#text, this.#at, wanted);
  }
}

function closingOf({ isObject }: Open): '}' | ']' {
  return isObject ? '}' : ']';
}

/** What is wrong, in the words of someone who wrote the text by hand. */
function unexpected(text: string, at: number, wanted: string): string {
  const found = text[at];
  if (found === undefined) return `expected ${wanted}, but the text ends`;
  if (found === '/' || found === '#') return `JSON has no comments; expected ${wanted}`;
  if (found === "'" || found === '“' || found === '”')
    return `JSON needs straight double quotes; expected ${wanted}`;
  if (found === '"')
    return wanted === 'a value' || wanted === 'the end of the string'
      ? 'this string has no closing quote on its line, or contains a character that must be escaped'
      : `${wanted} is missing before this string`;
  return `expected ${wanted}, found ${JSON.stringify(found)}`;
}

function placeOf(text: string, offset: number): { line: number; column: number } {
  const lineStart = text.lastIndexOf('\n', offset - 1) + 1;
  return { line: lineFinder(text)(offset), column: offset - lineStart + 1 };
}

/** Finds the line ends on first use. */
function lineFinder(text: string): (offset: number) => number {
  let ends: number[] | undefined;
  return (offset) => {
    if (ends === undefined) {
      ends = [];
      for (let end = text.indexOf('\n'); end !== -1; end = text.indexOf('\n', end + 1)) ends.push(end);
    }
    let [low, high] = [0, ends.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((ends[middle] ?? 0) < offset) low = middle + 1;
      else high = middle;
    }
    return low + 1;
  };
}
