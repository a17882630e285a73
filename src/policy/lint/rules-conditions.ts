import {
  addressSynonyms,
  applicationAddresses,
  generators,
  negatableOperators,
  operatorSynonyms,
  operators,
  textAddresses,
  transformers,
} from './known-names.ts';
import type { LintRule } from './lint-rule.ts';
import { didYouMean, nearest, quoted } from './nearest.ts';
import {
  type Condition,
  conditionsOf,
  inputsOf,
  objectsOf,
  otherInputsOf,
  rulesOf,
  scalarText,
  scannerMatchersOf,
  type Text,
  textAt,
  textsOf,
} from './parts.ts';

/* Inputs, operators and transformers of conditions. */

const ofApplications: ReadonlySet<string> = new Set(applicationAddresses);

const unknownAddress: LintRule = {
  id: 'unknown-address',
  severity: 'warning',
  about: 'An input has an address that nothing provides. There is never a value to inspect',
  remote: true,
  *find({ content, around }) {
    for (const input of [...conditionsOf(content).flatMap(inputsOf), ...otherInputsOf(content)]) {
      for (const { path, value } of textAt(input, 'address')) {
        if (value === '' || around.addresses.has(value) || ofApplications.has(value)) continue;
        const meant =
          nearest(value, around.addresses, addressSynonyms) ?? nearest(value, applicationAddresses);
        yield { path, text: `unknown address ${quoted(value)}${didYouMean(meant)}` };
      }
    }
  },
};

const applicationAddress: LintRule = {
  id: 'application-address',
  severity: 'warning',
  about:
    'A condition of a custom rule or exclusion inspects only addresses that an application provides and a proxy cannot. It never matches',
  remote: false,
  *find({ content, around }) {
    for (const condition of conditionsOf(content)) {
      if (condition.part !== 'custom_rules' && condition.part !== 'exclusions') continue;
      const addresses = inputsOf(condition).flatMap((input) => textAt(input, 'address'));
      const [first] = addresses;
      if (first === undefined || condition.operator.startsWith('!')) continue;
      if (!addresses.every(({ value }) => ofApplications.has(value) && !around.addresses.has(value)))
        continue;
      yield {
        path: first.path,
        text: `only an application can provide ${quoted(first.value)}, a proxy cannot: this condition never matches`,
      };
    }
  },
};

const fieldName: LintRule = {
  id: 'field-name',
  severity: 'warning',
  about:
    '`key_path` names a header in upper case, or one that belongs to another address. Header names are lower case here',
  remote: true,
  *find({ content }) {
    for (const input of [...conditionsOf(content).flatMap(inputsOf), ...otherInputsOf(content)]) {
      const address = input.value['address'];
      if (typeof address !== 'string' || !address.endsWith('.headers.no_cookies')) continue;
      const name = textsOf(input.value, 'key_path', input.path)[0];
      if (name === undefined) continue;
      const lower = name.value.toLowerCase();
      if (lower === 'cookie' && address.startsWith('server.request.'))
        yield { path: name.path, text: "this address excludes cookies; use 'server.request.cookies'" };
      else if (lower === 'set-cookie' && address.startsWith('server.response.'))
        yield { path: name.path, text: "rules cannot inspect 'set-cookie'" };
      else if (lower !== name.value)
        yield {
          path: name.path,
          text: `header names are lower case, so ${quoted(name.value)} never matches; did you mean ${quoted(lower)}?`,
        };
    }
  },
};

/** `!match_regex` and `lfi_detector@v2` without their marks. */
export function plainOperator(operator: string): string {
  return operator.replace(/^!/, '').replace(/@v\d+$/, '');
}

function isOperator(operator: string): boolean {
  const plain = plainOperator(operator);
  if (!Object.hasOwn(operators, plain)) return false;
  if (operator.startsWith('!')) return negatableOperators.has(plain) && !operator.includes('@');
  return !operator.includes('@') || plain.endsWith('_detector');
}

const unknownOperator: LintRule = {
  id: 'unknown-operator',
  severity: 'warning',
  about: 'The `operator` of a condition is unknown, or cannot be negated. libddwaf drops the whole rule',
  remote: true,
  *find({ content }) {
    const written: Text[] = conditionsOf(content).flatMap((condition) => textAt(condition, 'operator'));
    for (const { path, value } of written) {
      if (isOperator(value)) continue;
      const plain = plainOperator(value);
      if (Object.hasOwn(operators, plain)) {
        yield { path, text: `${quoted(plain)} cannot be ${value.startsWith('!') ? 'negated' : 'versioned'}` };
        continue;
      }
      const meant = nearest(plain, Object.keys(operators), operatorSynonyms);
      yield { path, text: `unknown operator ${quoted(value)}${didYouMean(meant)}` };
    }
    for (const { path, value } of scannerMatchersOf(content).flatMap((matcher) =>
      textAt(matcher, 'operator'),
    ))
      if (!Object.hasOwn(operators, value) || !operators[value]?.includes('inputs') || value === 'exists')
        yield {
          path,
          text: `unknown operator ${quoted(value)}${didYouMean(nearest(value, scannerOperators))}`,
        };
  },
};

const scannerOperators = Object.keys(operators).filter(
  (name) => name !== 'exists' && operators[name]?.includes('inputs'),
);

const unknownTransformer: LintRule = {
  id: 'unknown-transformer',
  severity: 'warning',
  about: 'One of the `transformers` is unknown. libddwaf drops the whole rule',
  remote: true,
  *find({ content }) {
    const holders = [...rulesOf(content), ...conditionsOf(content).flatMap(inputsOf)];
    for (const { path, value } of holders.flatMap((part) => textsOf(part.value, 'transformers', part.path))) {
      if ((transformers as readonly string[]).includes(value)) continue;
      yield { path, text: `unknown transformer ${quoted(value)}${didYouMean(nearest(value, transformers))}` };
    }
  },
};

const unknownGenerator: LintRule = {
  id: 'unknown-generator',
  severity: 'warning',
  about: 'The `generator` of a processor is unknown. libddwaf drops the processor',
  remote: true,
  *find({ content }) {
    for (const { path, value } of objectsOf(content, 'processors').flatMap((p) => textAt(p, 'generator'))) {
      if (Object.hasOwn(generators, value)) continue;
      const meant = nearest(value, Object.keys(generators));
      yield { path, text: `unknown generator ${quoted(value)}${didYouMean(meant)}` };
    }
  },
};

const numberTypes: ReadonlySet<unknown> = new Set(['unsigned', 'signed', 'float', 'boolean']);

const neverMatches: LintRule = {
  id: 'never-matches',
  severity: 'warning',
  about:
    'A condition can never be true: an empty list, a phrase with capitals after `lowercase`, a number compared with text',
  remote: true,
  *find({ content }) {
    for (const condition of conditionsOf(content)) {
      const { operator, parameters } = condition;
      if (operator.startsWith('!')) continue;
      const { list } = parameters.value;
      if (['phrase_match', 'exact_match', 'ip_match'].includes(operator)) {
        if (Array.isArray(list) && list.length === 0)
          yield { path: [...parameters.path, 'list'], text: 'an empty list matches nothing' };
        if (operator === 'ip_match' || !seesLowerCaseOnly(condition)) continue;
        for (const phrase of textsOf(parameters.value, 'list', parameters.path))
          if (/[A-Z]/.test(phrase.value))
            yield {
              path: phrase.path,
              text: `${quoted(phrase.value)} never matches: 'lowercase' converts the input to lower case; did you mean ${quoted(phrase.value.toLowerCase())}?`,
            };
        continue;
      }
      const compares = operator === 'greater_than' || operator === 'lower_than';
      if (!compares && !(operator === 'equals' && numberTypes.has(parameters.value['type']))) continue;
      const addresses = inputsOf(condition).flatMap((input) => textAt(input, 'address'));
      const [first] = addresses;
      if (first === undefined || !addresses.every(({ value }) => textAddresses.has(value))) continue;
      const meant = compares
        ? "use 'match_regex'"
        : `did you mean type 'string' with value ${quoted(scalarText(parameters.value['value']))}?`;
      yield {
        path: condition.path.concat('operator'),
        text: `${quoted(first.value)} is text, not ${scalarText(parameters.value['type'] ?? 'a number')}; ${meant}`,
      };
    }
  },
};

/** Every input of the condition comes in lower case. */
function seesLowerCaseOnly(condition: Condition): boolean {
  const { owner, part } = condition;
  const ofRule = part === 'exclusions' || part === 'processors' ? [] : owner.value['transformers'];
  const inputs = inputsOf(condition);
  return (
    inputs.length > 0 &&
    inputs.every(({ value }) => {
      const applied = value['transformers'] ?? ofRule;
      if (!Array.isArray(applied)) return false;
      const changing = (applied as unknown[]).filter(
        (name) => name !== 'keys_only' && name !== 'values_only',
      );
      return changing.at(-1) === 'lowercase';
    })
  );
}

export const conditionRules: readonly LintRule[] = [
  unknownAddress,
  applicationAddress,
  fieldName,
  unknownOperator,
  unknownTransformer,
  unknownGenerator,
  neverMatches,
];
