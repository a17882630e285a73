import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Waf } from '../engine/waf/waf.ts';
import type { WafConfig } from '../engine/waf/waf-configs.ts';
import { isPolicyName, nameProblem } from './file-names.ts';
import { lint } from './lint/lint.ts';
import { type FileFinding, fileFinding, nameFinding, type ParsedFile, PlacesInFile } from './policy-file.ts';

/** A file of the folder that parsed, if only once. */
export interface KnownPolicy extends ParsedFile {
  /** As the WAF knows it. */
  readonly path: string;
  readonly name: string;
  /** Of the bytes that `content` was read from. */
  readonly digest: string;
}

/** Findings about the files of a folder. Each is returned once for each content of its file. */
export class FolderFindings {
  readonly #folder: string;
  #said: ReadonlySet<string> = new Set();

  constructor(folder: string) {
    this.#folder = folder;
  }

  /**
   * Findings that were not returned before.
   * @param names of all files of the folder.
   * @param others configurations in effect from other sources.
   */
  newOnes(
    policies: readonly KnownPolicy[],
    names: readonly string[],
    others: readonly WafConfig[],
  ): FileFinding[] {
    const said = new Set<string>();
    const fresh: FileFinding[] = [];
    const take = (finding: FileFinding, digest: string, lineOf = () => finding.line): void => {
      const { file, place, rule, text } = finding;
      const key = JSON.stringify([file, digest, place, rule, text]);
      if (!this.#said.has(key) && !said.has(key)) fresh.push({ ...finding, line: lineOf() });
      said.add(key);
    };
    const linted = lint(
      policies,
      others.map(({ path, content }) => ({ path, content: { ...content } })),
      { libraryVersion: Waf.libraryVersion, nowMs: Date.now() },
    );
    for (const { path, name, digest, text, ofText } of policies) {
      const file = join(this.#folder, name);
      const places = new PlacesInFile(text);
      for (const finding of ofText) take({ ...finding, file }, digest);
      for (const finding of linted)
        if (finding.config === path)
          take(fileFinding(file, finding), digest, () => places.lineOf(finding.path));
    }
    for (const name of names) {
      const problem = nameProblem(name) ?? this.#subfolderProblem(name);
      if (problem !== undefined) take(nameFinding(join(this.#folder, name), problem), '');
    }
    this.#said = said;
    return fresh;
  }

  /** For a subfolder that contains policies; the hidden ones of Kubernetes do not count. */
  #subfolderProblem(name: string): string | undefined {
    if (name.startsWith('.') || isPolicyName(name)) return undefined;
    try {
      const holdsPolicies = readdirSync(join(this.#folder, name)).some(isPolicyName);
      return holdsPolicies ? 'ignored: policies in subfolders are not read' : undefined;
    } catch {
      // A file, or a folder that cannot be read.
      return undefined;
    }
  }
}
