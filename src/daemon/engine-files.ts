import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { StartError } from '../config/errors.ts';
import { obfuscationDefaults, recommendedRulesPath } from '../datadog/dd-trace-package.ts';
import { BlockPages, type BlockPageTemplates } from '../engine/block-page.ts';
import { QueryObfuscator } from '../engine/query-obfuscator.ts';
import { RulesetError } from '../engine/waf/ruleset-error.ts';
import { type Ruleset, Waf } from '../engine/waf/waf.ts';
import { protectRuleset, WafConfigs } from '../engine/waf/waf-configs.ts';
import { messageOf } from '../message-of.ts';
import { mistakeText, scanJson } from '../policy/json-text.ts';
import { decodeText } from '../policy/text-file.ts';
import { type AnyDoor, type Config, doorsOf } from './settings.ts';

/** What engines are made of, as plain data: an engine thread gets the same as the I/O thread has seen to be good. */
export interface EngineFiles {
  readonly rulesSource: string;
  readonly ruleset: Ruleset;
  readonly pages: BlockPageTemplates;
  readonly servicePages: ReadonlyMap<string, BlockPageTemplates>;
}

/**
 * Reads what the configuration names.
 * @throws RulesetError or StartError naming setting, file and reason.
 */
export function readEngineFiles(config: Config): EngineFiles {
  const rulesSource = config.rulesPath ?? recommendedRulesPath();
  return { rulesSource, ruleset: readRuleset(rulesSource), ...readPages(config) };
}

/** The WAF with the ruleset that the configuration asks for. Throws as `readEngineFiles` and `createWaf` do. */
export function loadWaf(config: Config): LoadedWaf {
  const path = config.rulesPath ?? recommendedRulesPath();
  return createWaf(config, { rulesSource: path, ruleset: readRuleset(path) });
}

/** @throws RulesetError if libddwaf accepts none of it. */
export function createWaf(config: Config, files: Pick<EngineFiles, 'rulesSource' | 'ruleset'>): LoadedWaf {
  const defaults = obfuscationDefaults();
  const ruleset = protectRuleset(files.ruleset, config.protect);
  const waf = Waf.load(ruleset, files.rulesSource, {
    obfuscatorKeyRegex: config.obfuscatorKeyRegex ?? defaults.keyRegex,
    obfuscatorValueRegex: config.obfuscatorValueRegex ?? defaults.valueRegex,
  });
  return { waf, configs: new WafConfigs(waf, ruleset, config.protect) };
}

export interface LoadedWaf {
  readonly waf: Waf;
  /** What comes and goes in it while the daemon runs. */
  readonly configs: WafConfigs;
}

export function loadQueryObfuscator(config: Config): QueryObfuscator {
  return new QueryObfuscator(config.queryStringRegex ?? obfuscationDefaults().queryStringRegex);
}

/** @throws StartError when a template cannot be read, or can never be shown by a door that is open. */
export function loadBlockPages(config: Config): BlockPages {
  return createBlockPages(config, readPages(config), doorsOf(config.doors));
}

/** Block page templates, as the files are now. */
export type PageFiles = Pick<EngineFiles, 'pages' | 'servicePages'>;

/** @throws StartError when a template cannot be read. */
export function readPages(config: Config): PageFiles {
  return {
    pages: {
      html: readTemplate('DD_APPSEC_HTTP_BLOCKED_TEMPLATE_HTML', config.blockedTemplateHtmlPath),
      json: readTemplate('DD_APPSEC_HTTP_BLOCKED_TEMPLATE_JSON', config.blockedTemplateJsonPath),
    },
    servicePages: readServicePages(config.blockPagesFolder),
  };
}

/** @throws StartError when a template can never be shown by one of the doors. */
export function createBlockPages(config: Config, files: PageFiles, open: readonly AnyDoor[]): BlockPages {
  const pages = new BlockPages(files.pages, files.servicePages);
  for (const door of open) door.checkBlockPages?.(config, pages.largestPageBytes);
  return pages;
}

function readRuleset(path: string): object {
  let text: string;
  try {
    text = decodeText(readFileSync(path)).text;
  } catch (cause) {
    throw new RulesetError(path, `cannot be read: ${messageOf(cause)}; it is named by DD_APPSEC_RULES`, {
      cause,
    });
  }
  let ruleset: unknown;
  try {
    ruleset = JSON.parse(text);
  } catch (cause) {
    const { mistake } = scanJson(text);
    const reason = mistake === undefined ? messageOf(cause) : mistakeText(mistake);
    throw new RulesetError(path, `is not JSON: ${reason}`, { cause });
  }
  if (typeof ruleset !== 'object' || ruleset === null || Array.isArray(ruleset)) {
    throw new RulesetError(path, 'must be a JSON object with `rules`');
  }
  return ruleset;
}

/** `<service>.html` and `<service>.json` of a folder, by service. */
function readServicePages(folder: string | undefined): ReadonlyMap<string, BlockPageTemplates> {
  const pages = new Map<string, BlockPageTemplates>();
  if (folder === undefined) return pages;
  const variable = 'APPSEC_EDGE_BLOCK_PAGES_FOLDER';
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch (cause) {
    throw new StartError(`${variable}: ${folder} cannot be read: ${messageOf(cause)}`, { cause });
  }
  for (const name of names) {
    const match = /^(.+)\.(html|json)$/.exec(name);
    const service = match?.[1];
    const type = match?.[2];
    if (service === undefined || type === undefined) continue;
    pages.set(service, { ...pages.get(service), [type]: readTemplate(variable, join(folder, name)) });
  }
  return pages;
}

function readTemplate(variable: string, path: string | undefined): string | undefined {
  if (path === undefined) return undefined;
  try {
    return decodeText(readFileSync(path)).text;
  } catch (cause) {
    throw new StartError(`${variable}: ${path} cannot be read: ${messageOf(cause)}`, { cause });
  }
}
