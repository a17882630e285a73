import { isJsonObject } from '../../engine/json.ts';
import { builtInPath } from '../../engine/waf/waf.ts';
import { pathText } from '../json-text.ts';
import {
  actionSynonyms,
  actionTypeSynonyms,
  actionTypes,
  exclusionModes,
  exclusionSynonyms,
} from './known-names.ts';
import type { LintRule, Remark, Subject } from './lint-rule.ts';
import { didYouMean, nearest, quoted } from './nearest.ts';
import {
  conditionsOf,
  listsOf,
  objectAt,
  objectsOf,
  type Part,
  rulesOf,
  scalarText,
  textAt,
  textsOf,
} from './parts.ts';
import { idSpaces, isDelivered, type Tags } from './surroundings.ts';

/* References to what is defined elsewhere: actions, rules, lists, processors, scanners. */

const unknownAction: LintRule = {
  id: 'unknown-action',
  severity: 'warning',
  about: '`on_match` names an action that no file defines. The rule only reports',
  remote: true,
  *find({ content, around }) {
    for (const { path, value } of [...rulesOf(content), ...objectsOf(content, 'rules_override')]) {
      for (const action of textsOf(value, 'on_match', path)) {
        if (around.actions.has(action.value)) continue;
        const meant = nearest(action.value, around.actions, actionSynonyms);
        yield { path: action.path, text: unknown('action', action.value, around.actions, meant) };
      }
    }
    const modes = new Set([...exclusionModes, ...around.actions]);
    for (const mode of objectsOf(content, 'exclusions').flatMap((part) => textAt(part, 'on_match'))) {
      if (modes.has(mode.value)) continue;
      const meant = nearest(mode.value, modes, exclusionSynonyms);
      yield { path: mode.path, text: unknown('action', mode.value, modes, meant) };
    }
  },
};

const unknownActionType: LintRule = {
  id: 'unknown-action-type',
  severity: 'warning',
  about: 'The `type` of an action is unknown. The action does nothing',
  remote: true,
  *find({ content }) {
    for (const type of objectsOf(content, 'actions').flatMap((action) => textAt(action, 'type'))) {
      if ((actionTypes as readonly string[]).includes(type.value)) continue;
      const meant = nearest(type.value, actionTypes, actionTypeSynonyms);
      yield { path: type.path, text: unknown('action type', type.value, actionTypes, meant) };
    }
  },
};

const unknownRule: LintRule = {
  id: 'unknown-rule',
  severity: 'warning',
  about:
    'An override or exclusion selects rules by an id or by tags that no rule has, or an override selects a custom rule. It changes nothing',
  remote: true,
  *find(subject) {
    const { content } = subject;
    for (const override of objectsOf(content, 'rules_override')) {
      const targets = objectsOf(override.value, 'rules_target', override.path);
      yield* ruleRemarks(subject, targets.length === 0 ? [override] : targets, true);
    }
    for (const { path, value } of objectsOf(content, 'exclusions'))
      yield* ruleRemarks(subject, objectsOf(value, 'rules_target', path), false);
  },
};

function* ruleRemarks({ around }: Subject, targets: readonly Part[], overrides: boolean): Generator<Remark> {
  const { baseRules, customRules } = around;
  const rules = overrides ? baseRules : new Map([...customRules, ...baseRules]);
  for (const target of targets) {
    const id = ['rule_id', 'id'].flatMap((key) => textAt(target, key)).find(({ value }) => value !== '');
    if (id !== undefined) {
      if (rules.has(id.value)) continue;
      yield {
        path: id.path,
        text: customRules.has(id.value)
          ? `${quoted(id.value)} is a custom rule, which overrides cannot change; change the rule itself`
          : `unknown rule ${quoted(id.value)}${didYouMean(nearest(id.value, rules.keys()))}`,
      };
      continue;
    }
    const tags = target.value['tags'];
    if (!isJsonObject(tags) || Object.keys(tags).length === 0) {
      // Of an override, libddwaf says so itself; of another key, unknown-key.
      if (!overrides && Object.keys(target.value).every((key) => key === 'tags'))
        yield { path: target.path, text: 'selects no rule: it has neither `rule_id` nor `tags`' };
      continue;
    }
    const all = [...rules.values()];
    if (all.some((others) => hasTags(others, tags))) continue;
    const onlyCustom = overrides && [...customRules.values()].some((others) => hasTags(others, tags));
    yield {
      path: [...target.path, 'tags'],
      text: onlyCustom
        ? 'only custom rules have these tags, and overrides cannot change those; change the rules themselves'
        : `no rule has ${quoted(tags)}${tagMeant(tags, all)}`,
    };
  }
}

function hasTags(tags: Tags, wanted: Tags): boolean {
  return Object.entries(wanted).every(([key, value]) => scalarText(tags[key]) === scalarText(value));
}

/** The one tag that no rule has, put right. */
function tagMeant(wanted: Tags, all: readonly Tags[]): string {
  for (const [key, value] of Object.entries(wanted)) {
    if (all.some((tags) => hasTags(tags, { [key]: value }))) continue;
    const values = new Set(all.flatMap((tags) => (tags[key] === undefined ? [] : [scalarText(tags[key])])));
    if (values.size > 0) return didYouMean(nearest(scalarText(value), values));
    return didYouMean(nearest(key, new Set(all.flatMap((tags) => Object.keys(tags)))));
  }
  return '; some rules have one of these tags, none has all of them';
}

const missingList: LintRule = {
  id: 'missing-list',
  severity: 'warning',
  about:
    '`data` names a list that no file defines (`rules_data` for rules, `exclusion_data` for exclusions). The condition never matches',
  remote: false,
  *find(subject) {
    for (const { part, parameters } of conditionsOf(subject.content)) {
      const kind = part === 'exclusions' ? 'exclusion_data' : 'rules_data';
      const { given } = subject.around.lists[kind];
      for (const data of textAt(parameters, 'data')) {
        if (parameters.value['list'] !== undefined || given.has(data.value) || isDelivered(data.value))
          continue;
        const other = kind === 'rules_data' ? 'exclusion_data' : 'rules_data';
        const elsewhere = subject.around.lists[other].given.has(data.value);
        yield {
          path: data.path,
          text: elsewhere
            ? `list ${quoted(data.value)} is in \`${other}\`; move it to \`${kind}\``
            : `no list ${quoted(data.value)} in any \`${kind}\`${didYouMean(nearest(data.value, given))}`,
        };
      }
    }
  },
};

const unusedList: LintRule = {
  id: 'unused-list',
  severity: 'warning',
  about: 'No rule or exclusion names the list in `data`. It is never used',
  remote: true,
  *find({ content, around }) {
    for (const list of listsOf(content)) {
      const kind = list.part === 'exclusion_data' ? 'exclusion_data' : 'rules_data';
      const { given, used } = around.lists[kind];
      const other = around.lists[kind === 'rules_data' ? 'exclusion_data' : 'rules_data'];
      // What stands in the wrong part, or is misspelt where it is used, is said there, and once.
      const missing = [...used].filter((id) => !given.has(id) && !isDelivered(id));
      const saidThere = (id: string): boolean =>
        missing.some((id2) => nearest(id2, given) === id) ||
        (other.used.has(id) && !other.given.has(id) && !isDelivered(id));
      for (const id of textAt(list, 'id')) {
        if (used.has(id.value) || saidThere(id.value)) continue;
        const user = kind === 'rules_data' ? 'rule' : 'exclusion';
        yield {
          path: id.path,
          text: `no ${user} uses the list ${quoted(id.value)}${didYouMean(nearest(id.value, used))}`,
        };
      }
    }
  },
};

const unknownProcessor: LintRule = {
  id: 'unknown-processor',
  severity: 'warning',
  about: 'A reference to a processor or scanner uses an id or tags that none has. The reference is ignored',
  remote: true,
  *find({ content, around }) {
    const scannerLists: Part[][] = [];
    for (const override of objectsOf(content, 'processor_overrides')) {
      for (const id of objectsOf(override.value, 'target', override.path).flatMap(idOf)) {
        if (around.processors.has(id.value)) continue;
        const meant = didYouMean(nearest(id.value, around.processors));
        yield { path: id.path, text: `unknown processor ${quoted(id.value)}${meant}` };
      }
      for (const { path, value } of objectAt(override, 'scanners'))
        scannerLists.push(objectsOf(value, 'include', path), objectsOf(value, 'exclude', path));
    }
    for (const { path, value } of objectsOf(content, 'processors').flatMap((p) => objectAt(p, 'parameters')))
      scannerLists.push(objectsOf(value, 'scanners', path));
    for (const target of scannerLists.flat()) {
      const [id] = idOf(target);
      const tags = target.value['tags'];
      if (id !== undefined) {
        if (around.scanners.has(id.value)) continue;
        const meant = didYouMean(nearest(id.value, around.scanners.keys()));
        yield { path: id.path, text: `unknown scanner ${quoted(id.value)}${meant}` };
      } else if (
        isJsonObject(tags) &&
        ![...around.scanners.values()].some((others) => hasTags(others, tags))
      ) {
        const meant = tagMeant(tags, [...around.scanners.values()]);
        yield { path: [...target.path, 'tags'], text: `no scanner has ${quoted(tags)}${meant}` };
      }
    }
  },
};

function idOf(target: Part) {
  return ['rule_id', 'id'].flatMap((key) => textAt(target, key)).slice(0, 1);
}

const duplicateId: LintRule = {
  id: 'duplicate-id',
  severity: 'error',
  about:
    'A rule, exclusion, action, processor or scanner has the id of an earlier one, in this file or another. libddwaf refuses the later one',
  remote: true,
  *find({ path: config, content, around }) {
    for (const [space, parts] of idSpaces.entries()) {
      for (const item of parts.flatMap((part) => objectsOf(content, part))) {
        const { id } = item.value;
        const first = typeof id === 'string' ? around.firsts.get(`${space} ${id}`) : undefined;
        if (first === undefined) continue;
        if (first.path === config && first.place === pathText(item.path)) continue;
        const where = first.path === config ? first.place : `${first.place} of ${shownConfig(first.path)}`;
        yield {
          path: [...item.path, 'id'],
          text: `${quoted(id)} is already the id of ${where}, which stays in effect; choose another id`,
        };
      }
    }
  },
};

/** As the operator knows it. */
function shownConfig(path: string): string {
  return path === builtInPath ? 'the ruleset' : path.replace(/^folder\//, '');
}

/** More than these are not listed. */
const mostListed = 12;

function unknown(what: string, value: string, known: Iterable<string>, meant: string | undefined): string {
  const names = [...known];
  const listed =
    meant === undefined && names.length <= mostListed ? `; it must be one of ${names.join(', ')}` : '';
  return `unknown ${what} ${quoted(value)}${didYouMean(meant)}${listed}`;
}

export const referenceRules: readonly LintRule[] = [
  unknownAction,
  unknownActionType,
  unknownRule,
  missingList,
  unusedList,
  unknownProcessor,
  duplicateId,
];
