import { describe, expect, it } from 'vitest';
import { configNames, configVersions, expectedOf, foundIn } from '../support/haproxy-configs.ts';

// test/e2e/check-configs.test.ts asks HAProxy itself about the same files.

describe('check on configurations as operators have them', () => {
  it.each(configNames.flatMap((name) => configVersions.map((version) => [name, version] as const)))(
    'finds in %s, for HAProxy %s, what expected.txt says and no more',
    (name, version) => {
      expect(foundIn(name, version)).toEqual(expectedOf(name, version).findings);
    },
  );
});
