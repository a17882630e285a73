/** The candidate that was most likely meant; undefined if none is similar. */
export function nearest(
  value: string,
  candidates: Iterable<string>,
  synonyms: Readonly<Record<string, string>> = {},
): string | undefined {
  const wanted = folded(value);
  const known = [...candidates];
  const named = Object.hasOwn(synonyms, wanted) ? synonyms[wanted] : undefined;
  if (named !== undefined && known.includes(named)) return named;
  const allowed = Math.min(3, Math.max(1, Math.floor(wanted.length / 4)));
  let best: { readonly candidate: string; readonly distance: number } | undefined;
  for (const candidate of known) {
    const distance = wanted === folded(candidate) ? 0 : editDistance(wanted, folded(candidate), allowed);
    if (distance <= allowed && distance < (best?.distance ?? Number.POSITIVE_INFINITY))
      best = { candidate, distance };
  }
  return best?.candidate ?? longer(wanted, known);
}

/** `; did you mean 'x'?`, or nothing. */
export function didYouMean(meant: string | undefined): string {
  return meant === undefined ? '' : `; did you mean ${quoted(meant)}?`;
}

/** A value for a message: short, on one line, without control characters. */
export function quoted(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? String(value));
  const clipped = text.length > 80 ? `${text.slice(0, 80)}…` : text;
  const visible = clipped.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => {
    const code = (character.codePointAt(0) ?? 0).toString(16);
    return `\\u{${code}}`;
  });
  return typeof value === 'string' ? `'${visible}'` : visible;
}

/** Without differences of case, and of `-`, `_` and blanks. */
function folded(text: string): string {
  return text
    .trim()
    .toLowerCase()
    .replace(/[-_\s]+/g, '_');
}

/** `server.request.header` is the beginning of `server.request.headers.no_cookies`. */
function longer(wanted: string, candidates: readonly string[]): string | undefined {
  if (wanted.length < 4) return undefined;
  return candidates
    .filter((candidate) => folded(candidate).startsWith(wanted))
    .sort((one, other) => one.length - other.length)[0];
}

/** Insertions, deletions, replacements and swaps of neighbours; `limit + 1` stands for anything above `limit`. */
export function editDistance(one: string, other: string, limit: number): number {
  if (Math.abs(one.length - other.length) > limit) return limit + 1;
  let beforeLast: number[] = [];
  let last = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (let i = 1; i <= one.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= other.length; j += 1) {
      const replaced = (last[j - 1] ?? 0) + (one[i - 1] === other[j - 1] ? 0 : 1);
      let least = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, replaced);
      if (i > 1 && j > 1 && one[i - 1] === other[j - 2] && one[i - 2] === other[j - 1])
        least = Math.min(least, (beforeLast[j - 2] ?? 0) + 1);
      row.push(least);
    }
    if (Math.min(...row) > limit) return limit + 1;
    [beforeLast, last] = [last, row];
  }
  return last[other.length] ?? limit + 1;
}
