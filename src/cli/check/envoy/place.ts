import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseAllDocuments,
} from 'yaml';
import { ConfigError } from '../../../config/errors.ts';
import type { SourceFile } from '../parse.ts';

/** A value in a YAML or JSON file, and the line to name when something is said of it. */
export class Place {
  readonly file: string;
  /** The line of its name, where it has one: what stands below a name begins a line later. */
  readonly number: number;
  readonly #node: Node | undefined;
  readonly #document: Document;
  readonly #lines: LineCounter;
  #fields: readonly (readonly [string, Place])[] | undefined;

  constructor(file: string, node: Node | undefined, document: Document, lines: LineCounter, number?: number) {
    this.file = file;
    this.#node = isAlias(node) ? resolved(node, document) : node;
    this.#document = document;
    this.#lines = lines;
    this.number = number ?? lineOf(node, lines);
  }

  /** A scalar as it is written, without quotes; undefined for anything else and for null. */
  get text(): string | undefined {
    if (!isScalar(this.#node)) return undefined;
    const { value } = this.#node;
    return value === null || value === undefined ? undefined : String(value);
  }

  /** Protobuf's JSON takes true and "true". */
  get isTrue(): boolean {
    return this.text === 'true';
  }

  get count(): number | undefined {
    const { text } = this;
    return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
  }

  get isMessage(): boolean {
    return isMap(this.#node);
  }

  /** The field, by its name in the .proto or as JSON writes it (camel case); null counts as absent. */
  field(...path: readonly string[]): Place | undefined {
    let place: Place | undefined = this;
    for (const name of path) {
      const found: readonly (readonly [string, Place])[] = place?.fields() ?? [];
      if (found.length === 0) return undefined;
      const json = jsonName(name);
      place = found.find(([key, { isNull }]) => (key === name || key === json) && !isNull)?.[1];
    }
    return place;
  }

  fields(): readonly (readonly [string, Place])[] {
    this.#fields ??= this.#readFields();
    return this.#fields;
  }

  #readFields(): (readonly [string, Place])[] {
    if (!isMap(this.#node)) return [];
    return this.#node.items.flatMap(({ key, value }) => {
      if (!isScalar(key)) return [];
      const place = this.#inside(value as Node | undefined, lineOf(key, this.#lines));
      return [[String(key.value), place] as const];
    });
  }

  /** Of a list; empty for anything else. */
  items(): Place[] {
    if (!isSeq(this.#node)) return [];
    return this.#node.items.map((item) => this.#inside(item as Node));
  }

  /** `@type` without its package: `ExternalProcessor`. */
  get type(): string {
    return this.field('@type')?.text?.split('.').at(-1) ?? '';
  }

  get isNull(): boolean {
    return this.#node === undefined || (isScalar(this.#node) && this.#node.value === null);
  }

  #inside(node: Node | undefined | null, number?: number): Place {
    return new Place(this.file, node ?? undefined, this.#document, this.#lines, number);
  }
}

const targets = new WeakMap<Alias, Node | undefined>();

/** The library looks through the whole document each time. */
function resolved(alias: Alias, document: Document): Node | undefined {
  if (!targets.has(alias)) targets.set(alias, alias.resolve(document));
  return targets.get(alias);
}

const jsonNames = new Map<string, string>();

/** `per_connection` is `perConnection` in protobuf's JSON. */
function jsonName(name: string): string {
  const known = jsonNames.get(name);
  if (known !== undefined) return known;
  const made = name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
  jsonNames.set(name, made);
  return made;
}

function lineOf(node: Node | undefined, lines: LineCounter): number {
  return lines.linePos(node?.range?.[0] ?? 0).line;
}

/** Each document of the file. @throws ConfigError for a text that is not YAML. */
export function documentsOf({ path, text }: SourceFile): Place[] {
  const lines = new LineCounter();
  // `<<` is read as Envoy does not: nobody writes a configuration for it that way.
  const documents = parseAllDocuments(text, { lineCounter: lines });
  if (!Array.isArray(documents)) return [];
  return documents.map((document) => {
    const [error] = document.errors;
    if (error !== undefined) {
      const [at] = error.linePos ?? [];
      throw new ConfigError(`${path}:${at?.line ?? 1}: not YAML: ${error.message.split('\n')[0]}`);
    }
    return new Place(path, (document.contents as Node | null) ?? undefined, document, lines);
  });
}

/** Milliseconds of a duration as protobuf (`0.5s`) or Kubernetes (`500ms`, `1m30s`) writes it; undefined for others. */
export function millisecondsOf(place: Place | undefined): number | undefined {
  const text = place?.text;
  if (text === undefined || !/^(\d+(\.\d+)?(ms|s|m|h))+$/.test(text)) return undefined;
  const units: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };
  const parts = [...text.matchAll(/([\d.]+)(ms|s|m|h)/g)];
  return parts.reduce((sum, [, amount, unit]) => sum + Number(amount) * (units[unit ?? ''] ?? 0), 0);
}

/** Bytes of a number, or of a quantity as Kubernetes writes it (`1Mi`). */
export function bytesOf(place: Place | undefined): number | undefined {
  const [, amount, unit = ''] = /^(\d+)(Ki|Mi|Gi|k|M|G)?$/.exec(place?.text ?? '') ?? [];
  const units: Readonly<Record<string, number>> = {
    ...{ Ki: 1_024, Mi: 1_048_576, Gi: 1_073_741_824 },
    ...{ k: 1_000, M: 1_000_000, G: 1_000_000_000 },
  };
  return amount === undefined ? undefined : Number(amount) * (units[unit] ?? 1);
}
