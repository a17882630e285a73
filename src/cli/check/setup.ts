import { messageNames } from '../../adapters/haproxy/contract.ts';
import type { Config } from '../../daemon/settings.ts';
import {
  type Configuration,
  type Line,
  parseConfiguration,
  parseSpoeEngine,
  type Section,
  type SourceFile,
  type SpoeEngine,
} from './parse.ts';
import type { Version } from './version.ts';
import type { Environment } from './words.ts';

/*
 * What the rules of `appsec-edge check` examine: the proxies that call the agent, or should, what they send and when, and the
 * files that they name.
 */

export { effectiveLine, modeOf } from './inherit.ts';

export type MessageKey = keyof typeof messageNames;
export const messageKeys = Object.keys(messageNames) as MessageKey[];

/** One `http-request` or `http-response` rule. */
export interface HttpRule {
  readonly line: Line;
  /** The section it is in: the proxy, or the defaults that it comes from. */
  readonly section: Section;
  readonly direction: 'request' | 'response';
  /** Its place among all rules of the same direction. */
  readonly index: number;
  /** The action and its arguments, without the condition. */
  readonly action: readonly string[];
  /** The condition as text, with the definitions of the ACLs that it names; '' without one. */
  readonly condition: string;
  /** Messages of ours that it sends. */
  readonly sends: readonly MessageKey[];
  /** It answers, or refuses, when the agent says so. */
  readonly blocks: boolean;
}

/** A proxy whose HTTP rules count: a frontend, or a backend that the agent's lines stand in. */
export interface Frontend {
  readonly section: Section;
  /** In the order of their evaluation, those of its defaults included. */
  readonly rules: readonly HttpRule[];
  readonly filters: readonly Line[];
  /** `filter spoe` of our engine. */
  readonly filter: Line | undefined;
  /** It has to do with the agent: filter, groups or the Lua action. */
  readonly isProtected: boolean;
}

export interface Setup {
  readonly version: Version;
  readonly configuration: Configuration;
  readonly globalLines: readonly Line[];
  readonly frontends: readonly Frontend[];
  readonly engineName: string;
  /** Undefined when its file cannot be read or has no such engine; see `spoeProblem`. */
  readonly spoe: SpoeEngine | undefined;
  readonly spoeProblem: { readonly line: Line; readonly what: string } | undefined;
  /** Scripts of `lua-load` lines; without text when they cannot be read here. */
  readonly scripts: readonly {
    readonly line: Line;
    readonly path: string;
    readonly text: string | undefined;
  }[];
  /** Every text that was read, for the rules about comments. */
  readonly sources: readonly SourceFile[];
  readonly settings: CheckSettings;
}

export type CheckSettings = Pick<Config, 'bodyLimitBytes' | 'wafTimeoutUs' | 'maxFrameSizeBytes'>;

export interface CheckInput {
  /** In the order in which HAProxy loads them. */
  readonly files: readonly SourceFile[];
  /** The SPOE file; without it, the one that `filter spoe` names. */
  readonly spoe: SourceFile | undefined;
  readonly environment: Environment;
  readonly settings: CheckSettings;
  /** Undefined when there is no such file. */
  readFile(path: string): string | undefined;
}

const defaultEngine = 'dd-spoe';

export function createSetup(input: CheckInput, version: Version): Setup {
  const configuration = parseConfiguration(input.files, version, input.environment);
  const proxies = configuration.sections.filter(hasRules);
  const filter = proxies
    .flatMap(spoeFilters)
    .find((line) => isOurFilter(line, input, version, configuration));
  const engineName = filter === undefined ? engineOfGroups(proxies) : argument(filter, 'engine');
  const { spoe, source, spoeProblem } = readSpoe(input, version, configuration, filter, engineName);
  const globalLines = configuration.sections
    .filter((section) => section.kind === 'global')
    .flatMap((section) => section.lines);
  const scripts = globalLines
    .filter((line) => line.words[0] === 'lua-load' || line.words[0] === 'lua-load-per-thread')
    .map((line) => ({ line, path: line.words[1] ?? '', text: input.readFile(line.words[1] ?? '') }));
  return {
    version,
    configuration,
    globalLines,
    frontends: proxies
      .map((section) => frontendOf(section, engineName, spoe))
      .filter(({ section, isProtected }) => section.kind !== 'backend' || isProtected),
    engineName,
    spoe,
    spoeProblem,
    scripts,
    sources: [
      ...input.files,
      ...(source === undefined ? [] : [source]),
      ...scripts.flatMap(({ path, text }) => (text === undefined ? [] : [{ path, text }])),
    ],
    settings: input.settings,
  };
}

/** The word after `keyword` in a line. */
export function argument(line: Line, keyword: string): string {
  const index = line.words.indexOf(keyword);
  return index === -1 ? '' : (line.words[index + 1] ?? '');
}

/** The proxies that have to do with the agent. */
export function protectedOf(setup: Setup): Frontend[] {
  return setup.frontends.filter((frontend) => frontend.isProtected);
}

/** The lines that send, or should send, `message`. */
export function sendersOf(frontend: Frontend, message: MessageKey): HttpRule[] {
  return frontend.rules.filter((rule) => rule.sends.includes(message));
}

function hasRules(section: Section): boolean {
  if (['frontend', 'listen', 'backend'].includes(section.kind)) return true;
  return (
    section.kind === 'snippet' &&
    section.lines.some((line) => /^(filter|http-request|http-response)$/.test(line.words[0] ?? ''))
  );
}

function spoeFilters(section: Section): Line[] {
  return section.lines.filter((line) => line.words[0] === 'filter' && line.words[1] === 'spoe');
}

/** HAProxy may have other agents, too: ours is the one with our messages, or with a matching name. */
function isOurFilter(
  line: Line,
  input: CheckInput,
  version: Version,
  { environment }: Configuration,
): boolean {
  const engine = argument(line, 'engine');
  const path = argument(line, 'config');
  const text = input.spoe?.text ?? input.readFile(path);
  if (text === undefined) return /^(dd|datadog)-/.test(engine);
  const parsed = parseSpoeEngine({ path, text }, engine, version, environment);
  return parsed === undefined
    ? /^(dd|datadog)-/.test(engine)
    : Object.values(messageNames).some((name) => parsed.messages.has(name));
}

function engineOfGroups(proxies: readonly Section[]): string {
  const send = proxies
    .flatMap((section) => [...(section.defaults?.lines ?? []), ...section.lines])
    .find((line) => line.words[1] === 'send-spoe-group' && /^(dd|datadog)-/.test(line.words[2] ?? ''));
  return send?.words[2] ?? defaultEngine;
}

function readSpoe(
  input: CheckInput,
  version: Version,
  { environment }: Configuration,
  filter: Line | undefined,
  engine: string,
): {
  readonly spoe: SpoeEngine | undefined;
  readonly source: SourceFile | undefined;
  readonly spoeProblem: Setup['spoeProblem'];
} {
  const path = filter === undefined ? '' : argument(filter, 'config');
  const text = input.spoe?.text ?? (path === '' ? undefined : input.readFile(path));
  if (text === undefined) {
    const spoeProblem =
      filter === undefined
        ? undefined
        : { line: filter, what: `${path} cannot be read here and was not checked` };
    return { spoe: undefined, source: undefined, spoeProblem };
  }
  const source = { path: input.spoe?.path ?? path, text };
  const spoe = parseSpoeEngine(source, engine, version, environment);
  const spoeProblem =
    spoe !== undefined || filter === undefined
      ? undefined
      : { line: filter, what: `${source.path} has no engine [${engine}]` };
  return { spoe, source, spoeProblem };
}

function frontendOf(section: Section, engine: string, spoe: SpoeEngine | undefined): Frontend {
  const counts = { request: 0, response: 0 };
  // HAProxy evaluates the rules of the defaults first.
  const rules = [section.defaults, section].flatMap((owner) =>
    owner === undefined ? [] : rulesOf(owner, counts, engine, spoe),
  );
  const filters = section.lines.filter((line) => line.words[0] === 'filter');
  const filter = filters.find((line) => line.words[1] === 'spoe' && argument(line, 'engine') === engine);
  return {
    section,
    rules,
    filters,
    filter,
    isProtected:
      filter !== undefined || rules.some((rule) => rule.sends.length > 0 || rule.blocks || isOurLua(rule)),
  };
}

function rulesOf(
  section: Section,
  counts: { request: number; response: number },
  engine: string,
  spoe: SpoeEngine | undefined,
): HttpRule[] {
  // ACLs of defaults are for the rules there; a proxy has its own.
  const acls = new Map<string, string>();
  for (const { words } of section.lines) {
    const [keyword, name = ''] = words;
    if (keyword === 'acl') acls.set(name, `${acls.get(name) ?? ''} ${words.slice(2).join(' ')}`);
  }
  const rules: HttpRule[] = [];
  for (const line of section.lines) {
    const direction = /^http-(request|response)$/.exec(line.words[0] ?? '')?.[1];
    if (direction !== 'request' && direction !== 'response') continue;
    const start = line.words.findIndex((word, index) => index > 1 && (word === 'if' || word === 'unless'));
    const action = line.words.slice(1, start === -1 ? undefined : start);
    const condition = start === -1 ? [] : line.words.slice(start + 1);
    const expanded = condition.map((word) => `${word}${acls.get(word.replace(/^!/, '')) ?? ''}`).join(' ');
    const isAuth = action[0] === 'auth';
    rules.push({
      line,
      section,
      direction,
      index: counts[direction]++,
      action,
      condition: expanded,
      sends: action[0] === 'send-spoe-group' && action[1] === engine ? messagesOf(action[2] ?? '', spoe) : [],
      blocks: isFinal(action[0] ?? '') && !isAuth && /\btxn\.dd\.blocked\b/.test(expanded),
    });
  }
  return rules;
}

export function isOurLua(rule: HttpRule): boolean {
  return rule.action[0] === 'lua.send_blocking_response';
}

/** Actions after which no further rule is evaluated, and any Lua action. */
export function isFinal(action: string): boolean {
  return /^(auth|deny|tarpit|reject|redirect|return|silent-drop|use-service|lua\..*)$/.test(action);
}

/** By the SPOE file, else by the name of the group. */
function messagesOf(group: string, spoe: SpoeEngine | undefined): MessageKey[] {
  const section = spoe?.groups.get(group);
  if (section === undefined) {
    return messageKeys.filter((key) => group.includes(messageNames[key].replace(/^http-(.*)-msg$/, '$1')));
  }
  const sent = section.lines
    .filter((line) => line.words[0] === 'messages')
    .flatMap((line) => line.words.slice(1));
  return messageKeys.filter((key) => sent.includes(messageNames[key]));
}
