/*
 * Which Node.js the program needs. Read by main.ts before everything else, so by the Node.js that is too old as well:
 * no syntax here that Node 12 does not know.
 */

type Version = readonly number[];

/** `engines.node` of package.json, which is not read at every start: a file less, and a test holds the two together. */
export const neededNode = '^22.15 || >=23.8';

/**
 * What to tell whoever started the program on a Node.js that cannot run it; undefined when it can.
 * @param range `engines.node` of package.json: comparators of the kinds `>=1.2` and `^1.2`, alternatives between `||`
 * @param running `process.versions.node`
 * @param path of the executable that runs
 */
export function nodeVersionProblem(range: string, running: string, path: string): string | undefined {
  const comparators = range.split('||').map((comparator) => comparator.trim());
  if (comparators.some((comparator) => admits(comparator, versionOf(running)))) return undefined;
  return (
    `Node.js ${comparators.map(inWords).join(', or ')} is required, but ${path} is ${running}: ` +
    "install a newer one, for example with 'npm install node@24', and run appsec-edge with it"
  );
}

function admits(comparator: string, running: Version): boolean {
  const lowest = versionOf(comparator);
  if (comparator.startsWith('^') && lowest[0] !== running[0]) return false;
  for (let part = 0; part < 3; part += 1) {
    const difference = (running[part] || 0) - (lowest[part] || 0);
    if (difference !== 0) return difference > 0;
  }
  return true;
}

function versionOf(text: string): Version {
  return text
    .replace(/^(\^|>=|v)/, '')
    .split('.')
    .map((part) => Number.parseInt(part, 10));
}

/** For instance `22.15 or a later 22.x`, `23.8 or later`. */
function inWords(comparator: string): string {
  const lowest = comparator.replace(/^(\^|>=)/, '');
  return comparator.startsWith('^') ? `${lowest} or a later ${lowest.split('.')[0]}.x` : `${lowest} or later`;
}
