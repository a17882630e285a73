import { isJsonObject } from '../engine/json.ts';
import { builtInPath, Waf } from '../engine/waf/waf.ts';
import type { WafConfig } from '../engine/waf/waf-configs.ts';
import type { Logger } from '../ops/log.ts';
import { isFolderPath } from '../policy/folder-source.ts';
import { pathText } from '../policy/json-text.ts';
import { type Document, lint } from '../policy/lint/lint.ts';
import { type FileFinding, findingText } from '../policy/policy-file.ts';

/*
 * Log lines about configurations that are in effect but do nothing. Only the I/O thread, which applies them first, logs them;
 * engine threads do not.
 */

/** Lines for one file at a time: a long list can be wrong in each of its entries. */
const mostLines = 20;

export function logFindings(logger: Logger, findings: readonly FileFinding[]): void {
  for (const [file, ofFile] of Map.groupBy(findings, (finding) => finding.file)) {
    for (const finding of ofFile.slice(0, mostLines)) {
      const { line, place, rule, severity } = finding;
      const where = line === undefined ? '' : ` (line ${line})`;
      logger[severity === 'hint' ? 'info' : 'warn'](
        { file, line, place, rule },
        `policy ${file}: ${findingText(finding)}${where}`,
      );
    }
    const more = ofFile.length - mostLines;
    if (more > 0)
      logger.warn(
        { file, more },
        `policy ${file}: ${more} more findings; 'appsec-edge policy check' lists all`,
      );
  }
}

/** Logs findings about the operator's own ruleset. Items that Remote Config may still deliver do not count as missing. */
export function logRulesetFindings(logger: Logger, file: string, inEffect: readonly WafConfig[]): void {
  const findings = lint(documentsOf(inEffect), [], { libraryVersion: Waf.libraryVersion, nowMs: Date.now() });
  for (const { path, text, rule } of findings.slice(0, mostLines)) {
    const place = pathText(path);
    logger.warn({ file, place, rule }, `ruleset ${file}: ${place}: ${text}`);
  }
  const more = findings.length - mostLines;
  if (more > 0) logger.warn({ file, more }, `ruleset ${file}: ${more} more findings`);
}

function documentsOf(configs: readonly WafConfig[]): Document[] {
  return configs.flatMap(({ path, content }) => (isJsonObject(content) ? [{ path, content }] : []));
}

/** Logs findings about configurations from Remote Config, each once, however often it is delivered. */
export class RemoteFindings {
  readonly #logger: Logger;
  readonly #inEffect: () => readonly WafConfig[];
  #said: ReadonlySet<string> = new Set();

  constructor(logger: Logger, inEffect: () => readonly WafConfig[]) {
    this.#logger = logger;
    this.#inEffect = inEffect;
  }

  /** Called after a change. Never throws: a check must not change what is in effect. */
  check(): void {
    try {
      this.#check();
    } catch (cause) {
      this.#logger.error({ err: cause }, 'Remote Config cannot be checked: please report this');
    }
  }

  #check(): void {
    const isRemote = ({ path }: Document): boolean => path !== builtInPath && !isFolderPath(path);
    const documents = documentsOf(this.#inEffect());
    const findings = lint(
      documents.filter(isRemote),
      documents.filter((config) => !isRemote(config)),
      { libraryVersion: Waf.libraryVersion, nowMs: Date.now(), remote: true },
    );
    const said = new Set<string>();
    const lines: (() => void)[] = [];
    for (const { config, path, text, rule } of findings) {
      const place = pathText(path);
      const key = JSON.stringify([config, place, text]);
      if (!this.#said.has(key))
        lines.push(() =>
          this.#logger.warn({ path: config, place, rule }, `Remote Config ${config}: ${place}: ${text}`),
        );
      said.add(key);
    }
    this.#said = said;
    for (const write of lines.slice(0, mostLines)) write();
    const more = lines.length - mostLines;
    if (more > 0) this.#logger.warn({ more }, `Remote Config: ${more} more findings`);
  }
}
