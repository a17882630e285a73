/** How much of a transaction was looked at, best first: `skipped` is want of time, `error` a mistake of ours. */
export const coverages = ['whole', 'partial', 'skipped', 'error'] as const;
export type Coverage = (typeof coverages)[number];

export function worseCoverage(one: Coverage, other: Coverage): Coverage {
  return coverages.indexOf(one) > coverages.indexOf(other) ? one : other;
}
