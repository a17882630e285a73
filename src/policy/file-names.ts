/* Which files of the folder are policies by their name, and which look as if they were meant to be. */

/** On most systems `A.JSON` is another name than `a.json`, and means the same to people. */
export function isPolicyName(name: string): boolean {
  return /\.json$/i.test(name) && !name.startsWith('.');
}

const otherFormats = /\.(?:json5|jsonc|hjson|jsonl|ndjson|ya?ml|toml)$/i;
const putAside = /\.json(?:[._-][^/]*|~)$/i;

/** Why a file that looks like a policy is ignored; undefined if it is one, or looks like something else. */
export function nameProblem(name: string): string | undefined {
  if (isPolicyName(name) || name.startsWith('.')) return undefined;
  if (otherFormats.test(name)) return 'ignored: policies are JSON, in files named *.json';
  if (putAside.test(name)) return 'ignored: its name does not end in .json';
  return undefined;
}
