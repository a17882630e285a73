// What test/faults/two-agents.test.ts does with 20,000 requests.
import { twoAgentsLoseNothing } from './support/two-agents-cases.ts';

twoAgentsLoseNothing(100, 4_000);
