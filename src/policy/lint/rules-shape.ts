import { isJsonObject, type JsonObject } from '../../engine/json.ts';
import type { JsonPath } from '../json-text.ts';
import { generators, operatorOptions, operators } from './known-names.ts';
import type { LintRule, Remark } from './lint-rule.ts';
import { didYouMean, nearest, quoted } from './nearest.ts';
import { conditionsOf, mappingsOf, objectAt, objectsOf, type Part, textAt } from './parts.ts';
import { plainOperator } from './rules-conditions.ts';

/* Keys that are never read, and whole parts that are ignored. */

/** Keys of an object, with the shape of what stands under them. */
interface Shape {
  readonly [key: string]: Shape | 'anything';
}

function named(...keys: readonly string[]): Shape {
  return Object.fromEntries(keys.map((key) => [key, 'anything']));
}

const versions = named('min_version', 'max_version');
const input = named('address', 'key_path', 'transformers');
const ruleTarget = named('rule_id', 'id', 'tags');
const condition = named('operator', 'parameters');
const rule: Shape = {
  ...named('id', 'name', 'tags', 'transformers', 'enabled', 'on_match'),
  ...versions,
  conditions: condition,
  output: named('event', 'keep', 'attributes'),
};
const list: Shape = { ...named('id', 'type'), data: named('value', 'expiration') };

/** Lists have the shape of each of their objects. */
const configuration: Shape = {
  ...named('version'),
  metadata: 'anything',
  rules: rule,
  rules_compat: rule,
  custom_rules: rule,
  rules_override: { ...named('id', 'enabled', 'on_match', 'tags'), rules_target: ruleTarget },
  exclusions: {
    ...named('id', 'name', 'on_match'),
    ...versions,
    conditions: condition,
    rules_target: ruleTarget,
    inputs: named('address', 'key_path'),
  },
  rules_data: list,
  exclusion_data: list,
  actions: named('id', 'type', 'parameters'),
  processors: {
    ...named('id', 'name', 'generator', 'evaluate', 'output'),
    ...versions,
    conditions: condition,
    parameters: { mappings: 'anything', scanners: named('id', 'tags') },
  },
  processor_overrides: {
    ...named('id'),
    target: ruleTarget,
    scanners: { include: ruleTarget, exclude: ruleTarget },
  },
  scanners: {
    ...named('id', 'name', 'tags'),
    ...versions,
    key: condition,
    value: condition,
  },
};

const switchShape: Shape = { asm: named('enabled') };

const topLevelSynonyms: Readonly<Record<string, string>> = {
  ...{ overrides: 'rules_override', exceptions: 'exclusions', passlist: 'exclusions', lists: 'rules_data' },
  ...{ blocked_ips: 'rules_data', blocked_users: 'rules_data', data: 'rules_data' },
};

const actionParameters: Readonly<Record<string, readonly string[]>> = {
  block_request: ['status_code', 'type', 'grpc_status_code'],
  redirect_request: ['status_code', 'location'],
};

const unknownKey: LintRule = {
  id: 'unknown-key',
  severity: 'warning',
  about:
    'An unknown key. It is ignored, with everything below it. Keys that begin with `_`, `$`, `#` or `//`, and `comment`, `comments` and `description`, are allowed for notes',
  remote: false,
  *find({ content }) {
    yield* isSwitch(content)
      ? // What stands beside the switch is said by another rule.
        shapeRemarks({ path: [], value: { asm: content['asm'] } }, switchShape)
      : shapeRemarks({ path: [], value: content }, configuration);
    for (const { operator, parameters } of conditionsOf(content)) {
      const plain = plainOperator(operator);
      if (!Object.hasOwn(operators, plain)) continue;
      yield* shapeRemarks(parameters, parametersOf(plain));
    }
    for (const action of objectsOf(content, 'actions')) {
      const { type } = action.value;
      const keys =
        typeof type === 'string' && Object.hasOwn(actionParameters, type)
          ? actionParameters[type]
          : undefined;
      if (keys === undefined) continue;
      for (const parameters of objectAt(action, 'parameters'))
        yield* shapeRemarks(parameters, named(...keys));
    }
    const known = named(...Object.values(generators).flat(), 'output');
    for (const mapping of mappingsOf(content)) yield* shapeRemarks(mapping, known);
  },
};

function parametersOf(operator: string): Shape {
  return {
    ...named(...(operators[operator] ?? [])),
    ...Object.fromEntries(
      ['inputs', 'resource', 'params', 'db_type']
        .filter((key) => operators[operator]?.includes(key))
        .map((key) => [key, input]),
    ),
    ...(Object.hasOwn(operatorOptions, operator)
      ? { options: named(...(operatorOptions[operator] ?? [])) }
      : {}),
  };
}

function* shapeRemarks({ path, value }: Part, shape: Shape): Generator<Remark> {
  for (const key of Object.keys(value)) {
    const known = Object.hasOwn(shape, key) ? shape[key] : undefined;
    if (known === 'anything' || isNote(key)) continue;
    const at = [...path, key];
    if (known === undefined) {
      const meant = nearest(key, Object.keys(shape), path.length === 0 ? topLevelSynonyms : {});
      const place = path.length === 0 ? '' : ' here';
      yield { path: at, text: `unknown key ${quoted(key)}${place}: ignored${didYouMean(meant)}` };
    } else for (const object of objectsIn(value[key], at, known)) yield* shapeRemarks(object, known);
  }
}

/** Objects with something in them to look at; the ten thousandth entry of a list has mostly nothing. */
function objectsIn(value: unknown, path: JsonPath, shape: Shape): Part[] {
  if (isJsonObject(value)) return [{ path, value }];
  if (!Array.isArray(value)) return [];
  const objects: Part[] = [];
  for (const [index, item] of (value as unknown[]).entries())
    if (isJsonObject(item) && Object.keys(item).some((key) => shape[key] !== 'anything'))
      objects.push({ path: [...path, index], value: item });
  return objects;
}

/** JSON has no comments; people write them as keys. */
function isNote(key: string): boolean {
  return /^(?:[_$#]|\/\/|comments?$|description$)/.test(key);
}

/** A file with `asm` switches inspection on or off, and is nothing else. */
export function isSwitch(content: JsonObject): boolean {
  return 'asm' in content;
}

const besideSwitch: LintRule = {
  id: 'beside-switch',
  severity: 'warning',
  about: 'A file with `asm` only switches inspection on or off. Everything else in it is ignored',
  remote: false,
  *find({ content }) {
    if (!isSwitch(content)) return;
    for (const key of Object.keys(content)) {
      if (key === 'asm' || isNote(key)) continue;
      yield { path: [key], text: 'ignored in a file with `asm`; move it to a file of its own' };
    }
  },
};

const otherVersion: LintRule = {
  id: 'other-version',
  severity: 'warning',
  about:
    'The `version` is one whose parts are not read, or a custom rule or exclusion needs another version of libddwaf. It is ignored',
  remote: false,
  *find({ content, around }) {
    const { version } = content;
    const major = typeof version === 'string' ? /^(\d+)\.\d+/.exec(version)?.[1] : undefined;
    if (version !== undefined && major === undefined)
      yield {
        path: ['version'],
        text: `${quoted(version)} is not a version of the format; did you mean '2.2'?`,
      };
    else if (major !== undefined && Number(major) < 2 && !('events' in content))
      yield {
        path: ['version'],
        text: `only \`events\` is read from version ${quoted(version)}; did you mean '2.2'?`,
      };
    for (const part of ['custom_rules', 'exclusions']) {
      for (const item of objectsOf(content, part)) {
        for (const { path, value } of textAt(item, 'min_version'))
          if (compareVersions(value, around.libraryVersion) > 0)
            yield { path, text: `ignored, because this libddwaf is ${around.libraryVersion}` };
        for (const { path, value } of textAt(item, 'max_version'))
          if (compareVersions(value, around.libraryVersion) < 0)
            yield { path, text: `ignored, because this libddwaf is ${around.libraryVersion}` };
      }
    }
  },
};

/** Of texts like `1.30.1`; what is none is equal to all, for libddwaf refuses it. */
function compareVersions(one: string, other: string): number {
  const [ones, others] = [one, other].map((text) =>
    /^v?(\d+)\.(\d+)\.(\d+)/.exec(text)?.slice(1).map(Number),
  );
  if (ones === undefined || others === undefined) return 0;
  const different = ones.findIndex((number, index) => number !== others[index]);
  return different === -1 ? 0 : (ones[different] ?? 0) - (others[different] ?? 0);
}

/** The highest version of each versioned operator; a rule that asks for a higher one is passed over. */
const operatorVersions: Readonly<Record<string, number>> = {
  ...{ lfi_detector: 2, ssrf_detector: 3, sqli_detector: 3, shi_detector: 1, cmdi_detector: 1 },
};

const operatorVersion: LintRule = {
  id: 'operator-version',
  severity: 'warning',
  about: 'A custom rule or exclusion needs a version of an operator that this libddwaf does not have',
  remote: false,
  *find({ content }) {
    for (const found of conditionsOf(content)) {
      const version = /@v(\d+)$/.exec(found.operator)?.[1];
      const highest = operatorVersions[plainOperator(found.operator)];
      if (version === undefined || highest === undefined || Number(version) <= highest) continue;
      if (found.part !== 'custom_rules' && found.part !== 'exclusions') continue;
      yield {
        path: [...found.path, 'operator'],
        text: `${quoted(plainOperator(found.operator))} has no version ${version}; the highest is ${highest}`,
      };
    }
  },
};

export const shapeRules: readonly LintRule[] = [unknownKey, besideSwitch, otherVersion, operatorVersion];
