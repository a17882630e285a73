import { isJsonObject, type JsonObject } from '../engine/json.ts';
import { type JsonPath, mistakeText, pathText, type ScannedJson, scanJson } from './json-text.ts';
import type { Finding, Severity } from './lint/lint.ts';
import { quoted } from './lint/nearest.ts';
import { decodeText } from './text-file.ts';

/** What is the matter with a file, or with the name of one. */
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
    about: 'An object has the same key twice. Only the last one counts',
  },
  {
    id: 'not-utf-8',
    severity: 'warning',
    about: 'The file is not UTF-8, but Latin-1 perhaps. What is not ASCII is read wrongly',
  },
  {
    id: 'other-name',
    severity: 'hint',
    about:
      'A file that looks like a policy has another name than `*.json`: `.json5`, `.jsonc`, `.yaml`, `.json.bak`; or stands in a subfolder. It is passed over',
  },
  {
    id: 'refused',
    severity: 'error',
    about:
      'The file is not JSON, cannot be read, or libddwaf refuses it or a part of it. In the log, this is the line that names the file with the reason',
  },
] as const satisfies readonly { id: string; severity: Severity; about: string }[];

/** A policy file that parses. */
export interface ParsedFile {
  readonly content: JsonObject;
  readonly text: string;
  /** What the text itself gives away; whose `file` is not known here. */
  readonly ofText: readonly Omit<FileFinding, 'file'>[];
}

/** Why a file is no policy. */
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

/** Where parts of a file stand; looked for when it is asked, and once. */
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
    text: `${quoted(path.at(-1))} comes again in this object: only the last one counts`,
  }));
  if (!malformed) return duplicates;
  return [
    {
      ...{ line: undefined, place: '', severity: notUtf8.severity, rule: notUtf8.id },
      text: 'is not UTF-8: what is not ASCII in it is read wrongly; save it as UTF-8',
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

/** The line is looked for later, when it is wanted. */
export function fileFinding(file: string, { path, severity, rule, text }: Finding): FileFinding {
  return { file, line: undefined, place: pathText(path), severity, rule, text };
}

/** `PLACE: TEXT`, as it stands behind the name of a file. */
export function findingText({ place, text }: Pick<FileFinding, 'place' | 'text'>): string {
  return place === '' ? text : `${place}: ${text}`;
}
