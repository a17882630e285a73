import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/**
 * Test files side by side: one more than there are processors, for many wait, for a time-out or for another process. No
 * test depends on how fast it runs.
 */
const maxWorkers = Math.min(availableParallelism() + 1, 8);

/** What would be waited for in the end if it began late: the files that take longest, the longest first. */
const longest = [
  'e2e/daemon-away',
  'e2e/fuzz',
  'e2e/two-agents',
  'e2e/verdict',
  'e2e/observability',
  'e2e/tls',
  'e2e/engine-threads',
  'e2e/remote-config',
  'e2e/policy-folder',
  'e2e/package-install',
  'e2e/debian-package',
];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification): number => {
      const index = longest.findIndex((name) => moduleId.endsWith(`/test/${name}.test.ts`));
      return index < 0 ? longest.length : index;
    };
    return (await super.sort(files)).toSorted((a, b) => place(a) - place(b));
  }
}

// `unit` needs nothing but Node; `e2e` starts the built daemon and real HAProxy processes; `faults` (npm run test:faults)
// makes things go wrong for them under load.
export default defineConfig({
  test: {
    maxWorkers,
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/e2e/**', 'test/faults/**'],
          testTimeout: 240_000,
          hookTimeout: 240_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          globalSetup: ['test/e2e/support/global-setup.ts'],
          testTimeout: 240_000,
          hookTimeout: 240_000,
          expect: { poll: { timeout: 60_000 } },
        },
      },
      {
        extends: true,
        test: {
          name: 'faults',
          include: ['test/faults/**/*.test.ts'],
          globalSetup: ['test/faults/support/global-setup.ts'],
          testTimeout: 90_000,
          hookTimeout: 120_000,
          fileParallelism: false,
          expect: { poll: { timeout: 60_000 } },
        },
      },
    ],
  },
});
