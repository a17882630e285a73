import { haproxyTime } from '../../../src/config/parsers.ts';
import { type ConfigOf, withDefault } from '../../../src/config/setting.ts';

/** Keys, variables and flags begin with the door's name: settings of all doors are one flat table. */
export const memorySettings = {
  memoryTimeoutMs: withDefault(haproxyTime, '3s', {
    ...{ env: 'MEMORY_TIMEOUT', flag: 'memory-timeout', group: 'Memory' },
    description: 'How long a client waits for an answer.',
  }),
} as const;

export type MemoryConfig = ConfigOf<typeof memorySettings>;
