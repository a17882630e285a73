/*
 * Where things stand in JSON. JSON.parse does not say on which line a value stands, mostly not where a mistake is, and
 * never that a key comes twice and only its last value counts.
 */

/** Keys and indices from the root to a value. */
export type JsonPath = readonly (string | number)[];

export interface JsonMistake {
  readonly line: number;
  readonly column: number;
  /** What is wrong there. */
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

/** An object or list that is not closed yet. */
interface Open {
  readonly isObject: boolean;
  readonly node: Node;
  /** Of the value that comes. */
  key: string | number;
}

/** Where a value begins: of a text or number, this alone. Lists of thousands of entries are ordinary. */
type Place = number | Node;

/** Where an object or list begins, and what stands in it. */
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

/** Behind the closing quote; undefined when the text in quotes does not end, or holds what JSON wants escaped. */
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

/** Walks through the text without recursion: it may be nested in any depth. */
export function scanJson(text: string): ScannedJson {
  let root: Place = 0;
  const dropped: { path: JsonPath; line: number }[] = [];
  const open: Open[] = [];
  let at = 0;
  const lineAt = lineFinder(text);
  const skip = (): string => {
    whitespace.lastIndex = at;
    whitespace.exec(text);
    at = whitespace.lastIndex;
    return text[at] ?? '';
  };
  const takeScalar = (): string | undefined => {
    const start = at;
    let end: number | undefined;
    if (text[at] === '"') end = endOfQuoted(text, at);
    else {
      bareScalar.lastIndex = at;
      if (bareScalar.test(text)) end = bareScalar.lastIndex;
    }
    at = end ?? at;
    return end === undefined ? undefined : text.slice(start, end);
  };
  const result = (problem?: string): ScannedJson => ({
    mistake: problem === undefined ? undefined : { ...placeOf(text, at), problem },
    dropped,
    lineOf(path) {
      let place: Place = root;
      for (const key of path) {
        const child: Place | undefined = typeof place === 'number' ? undefined : childOf(place, key);
        if (child === undefined) break;
        place = child;
      }
      return lineAt(offsetOf(place));
    },
  });
  const put = (place: Place): void => {
    const inside = open.at(-1);
    if (inside === undefined) {
      root = place;
      return;
    }
    const { children } = inside.node;
    if (Array.isArray(children)) {
      children.push(place);
      return;
    }
    const key = String(inside.key);
    const before = children.get(key);
    if (before !== undefined)
      dropped.push({ path: open.map((around) => around.key), line: lineAt(offsetOf(before)) });
    children.set(key, place);
  };
  /** Reads `"key":`; what is wrong with it otherwise. */
  const readKey = (inside: Open): string | undefined => {
    if (skip() !== '"') return unexpected(text, at, 'a key in double quotes');
    const key = takeScalar();
    if (key === undefined) return unexpected(text, at, 'the end of the text in quotes');
    inside.key = key.includes('\\') ? (JSON.parse(key) as string) : key.slice(1, -1);
    if (skip() !== ':') return unexpected(text, at, "':'");
    at += 1;
    return undefined;
  };
  for (;;) {
    const first = skip();
    if (first === '{' || first === '[') {
      const isObject = first === '{';
      const inside: Open = { isObject, node: { offset: at, children: isObject ? new Map() : [] }, key: 0 };
      put(inside.node);
      at += 1;
      if (skip() === (inside.isObject ? '}' : ']')) at += 1;
      else {
        open.push(inside);
        const problem = inside.isObject ? readKey(inside) : undefined;
        if (problem !== undefined) return result(problem);
        continue;
      }
    } else {
      put(at);
      if (takeScalar() === undefined) return result(unexpected(text, at, 'a value'));
    }
    // A value has ended, and with it, perhaps, what it stands in.
    for (;;) {
      const inside = open.at(-1);
      const next = skip();
      if (inside === undefined) return result(next === '' ? undefined : unexpected(text, at, 'the end'));
      if (next === (inside.isObject ? '}' : ']')) {
        open.pop();
        at += 1;
        continue;
      }
      if (next !== ',') return result(unexpected(text, at, `',' or '${inside.isObject ? '}' : ']'}'`));
      const comma = at;
      at += 1;
      if (skip() === (inside.isObject ? '}' : ']')) {
        at = comma;
        return result('nothing follows this comma; JSON wants none behind the last one');
      }
      if (inside.isObject) {
        const problem = readKey(inside);
        if (problem !== undefined) return result(problem);
      } else inside.key = Number(inside.key) + 1;
      break;
    }
  }
}

/** What stands there in place of what is wanted, in the words of those who wrote it. */
function unexpected(text: string, at: number, wanted: string): string {
  const found = text[at];
  if (found === undefined) return `the text ends where ${wanted} is wanted`;
  if (found === '/' || found === '#') return `JSON has no comments (${wanted} is wanted)`;
  if (found === "'" || found === '“' || found === '”')
    return `JSON wants straight double quotes (${wanted} is wanted)`;
  if (found === '"')
    return wanted === 'a value' || wanted.startsWith('the end of the text')
      ? 'this text in quotes does not end on its line, or has a character that JSON wants escaped'
      : `${wanted} is missing before this text`;
  return `${JSON.stringify(found)} stands where ${wanted} is wanted`;
}

function placeOf(text: string, offset: number): { line: number; column: number } {
  const lineStart = text.lastIndexOf('\n', offset - 1) + 1;
  return { line: lineFinder(text)(offset), column: offset - lineStart + 1 };
}

/** Looks for line ends once, when it is asked. */
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
