/*
 * One line of a HAProxy configuration to words (configuration manual, 2.2 and 2.3): quotes and backslashes are
 * resolved, comments dropped, variables expanded inside double quotes.
 */

export interface Words {
  readonly words: readonly string[];
  /** Variables without a value and without a default: HAProxy puts nothing in their place. */
  readonly unset: readonly string[];
}

/** Variables by name. Missing and empty are different things. */
export type Environment = ReadonlyMap<string, string>;

const escapes: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t' };

export function splitWords(text: string, environment: Environment): Words {
  const words: string[] = [];
  const unset: string[] = [];
  let word: string | undefined;
  let quote: '"' | "'" | undefined;
  let at = 0;
  const add = (part: string): void => {
    word = (word ?? '') + part;
  };
  while (at < text.length) {
    const character = text.charAt(at);
    at += 1;
    if (quote === "'") {
      if (character === "'") quote = undefined;
      else add(character);
    } else if (character === '\\') {
      const next = text.charAt(at);
      at += 1;
      add(quote === undefined ? (escapes[next] ?? next) : unescapedInQuotes(next));
    } else if (character === '"') {
      quote = quote === '"' ? undefined : '"';
      add('');
    } else if (quote === '"' && character === '$') {
      const variable = /^(?:\{([\w.]+)(?:-([^}]*))?(?:\[\*\])?\}|([A-Za-z_.][\w.]*))/.exec(text.slice(at));
      if (variable === null) {
        add('$');
        continue;
      }
      at += variable[0].length;
      const name = variable[1] ?? variable[3] ?? '';
      const value = environment.get(name) ?? variable[2];
      if (value === undefined) unset.push(name);
      add(value ?? '');
    } else if (quote === '"') {
      add(character);
    } else if (character === "'") {
      quote = "'";
      add('');
    } else if (character === '#') {
      break;
    } else if (/\s/.test(character)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else {
      add(character);
    }
  }
  if (word !== undefined) words.push(word);
  return { words, unset };
}

/** In double quotes only these lose their backslash. */
function unescapedInQuotes(character: string): string {
  return /["'\\$# ]/.test(character) ? character : `\\${character}`;
}
