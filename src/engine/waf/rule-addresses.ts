import { isJsonObject } from '../json.ts';

/** libddwaf's processors that extract the schema of values (API Security), which they only do on request. */
const schemaGenerator = 'extract_schema';

/**
 * Every text in these configurations outside their schema processors. An address that is not among them is read by no rule,
 * exclusion or fingerprint, in whatever part of the format they name their inputs: only a schema needs its value.
 */
export function addressesReadByRules(contents: readonly object[]): Set<string> {
  const read = new Set<string>();
  const left: unknown[] = [...contents];
  for (let value = left.pop(); value !== undefined; value = left.pop()) {
    if (typeof value === 'string') read.add(value);
    else if (Array.isArray(value)) for (const item of value as unknown[]) left.push(item ?? null);
    else if (isJsonObject(value) && value['generator'] !== schemaGenerator)
      for (const key in value) left.push(value[key] ?? null);
  }
  return read;
}
