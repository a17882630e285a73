/** What libddwaf can be given: JSON's values, and integers beyond 2^53. */
export type WafValue =
  | string
  | number
  | bigint
  | boolean
  | null
  | readonly WafValue[]
  | { readonly [key: string]: WafValue };

/** As `Array.isArray`, which does not narrow to readonly arrays. */
export function isList(value: WafValue): value is readonly WafValue[] {
  return Array.isArray(value);
}
