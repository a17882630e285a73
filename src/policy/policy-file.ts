import { isJsonObject, type JsonObject } from '../engine/json.ts';
import { type JsonPath, mistakeText, pathText, type ScannedJson, scanJson } from './json-text.ts';
import type { Finding, Severity } from './lint/lint.ts';
import { quoted } from './lint/nearest.ts';
import { decodeText } from './text-file.ts';

/** A problem with a file or its name. */
export interface FileFinding {
  /** Path of the file. */
  readonly file: string;
  /** Undefined: it is about the whole file. */
  readonly line: number | undefined;
  /** As people write a JSON path; empty: the whole file. */
  readonly place: string;
  readonly severity: Severity;
  /** Stable; docs/policy.md lists them. */
  readonly rule: string;
  readonly text: string;
}

/** Rules that need the text of a file, or its name; the others are in lint/. */
export const fileRules = [
  {
    id: 'duplicate-key',
    severity: 'warning',
    about: 'A key is repeated in an object. Only the last value counts',
  },
  {
    id: 'not-utf-8',
    severity: 'warning',
    about: 'The file is not UTF-8; it may be Latin-1. Characters outside ASCII are misread',
  },
  {
    id: 'other-name',
    severity: 'hint',
    about:
      'A file that looks like a policy is not named `*.json` (but `.json5`, `.jsonc`, `.yaml`, `.json.bak`), or is in a subfolder. It is ignored',
  },
  {
    id: 'refused',
    severity: 'error',
    about:
      'The file is not JSON or cannot be read, or libddwaf refuses all or part of it. The log names the file and the reason',
  },
] as const satisfies readonly { id: string; severity: Severity; about: string }[];

/** A policy file that parses. */
export interface ParsedFile {
  readonly content: JsonObject;
  readonly text: string;
  /** Findings about the text itself; the caller adds the file. */
  readonly ofText: readonly Omit<FileFinding, 'file'>[];
}

/** Why a file is not a policy. */
export interface ParseFailure {
  readonly problem: string;
  readonly line: number | undefined;
}

export function parsePolicyFile(bytes: Uint8Array): ParsedFile | ParseFailure {
  const { text, malformed } = decodeText(bytes);
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (cause) {
    const { mistake } = scanJson(text);
    const reason = mistake === undefined ? String(cause) : mistakeText(mistake);
    return { problem: `is not JSON: ${reason}`, line: mistake?.line };
  }
  if (!isJsonObject(content)) return { problem: 'must be a JSON object', line: undefined };
  return { content, text, ofText: textFindings(text, malformed) };
}

/** Line numbers of the parts of a file. The text is scanned once, on first use. */
export class PlacesInFile {
  readonly #text: string;
  #scanned: ScannedJson | undefined;

  constructor(text: string) {
    this.#text = text;
  }

  lineOf(path: JsonPath): number {
    this.#scanned ??= scanJson(this.#text);
    return this.#scanned.lineOf(path);
  }
}

function textFindings(text: string, malformed: boolean): Omit<FileFinding, 'file'>[] {
  const [duplicateKey, notUtf8] = fileRules;
  const duplicates = scanJson(text).dropped.map(({ path, line }) => ({
    ...{ line, place: pathText(path), severity: duplicateKey.severity, rule: duplicateKey.id },
    text: `${quoted(path.at(-1))} is repeated in this object: only the last value counts`,
  }));
  if (!malformed) return duplicates;
  return [
    {
      ...{ line: undefined, place: '', severity: notUtf8.severity, rule: notUtf8.id },
      text: 'is not UTF-8, so characters outside ASCII are misread; save it as UTF-8',
    },
    ...duplicates,
  ];
}

export function nameFinding(file: string, problem: string): FileFinding {
  const [, , otherName] = fileRules;
  return {
    ...{ file, line: undefined, place: '', severity: otherName.severity },
    ...{ rule: otherName.id, text: problem },
  };
}

/** The line is filled in later, by who needs it. */
export function fileFinding(file: string, { path, severity, rule, text }: Finding): FileFinding {
  return { file, line: undefined, place: pathText(path), severity, rule, text };
}

/** `PLACE: TEXT`, as it follows the name of a file. */
export function findingText({ place, text }: Pick<FileFinding, 'place' | 'text'>): string {
  return place === '' ? text : `${place}: ${text}`;
}
