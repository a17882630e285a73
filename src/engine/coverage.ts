/** How much of a transaction was inspected, best first. `skipped`: there was no time. `error`: an internal error. */
export const coverages = ['whole', 'partial', 'skipped', 'error'] as const;
export type Coverage = (typeof coverages)[number];

export function worseCoverage(one: Coverage, other: Coverage): Coverage {
  return coverages.indexOf(one) > coverages.indexOf(other) ? one : other;
}
