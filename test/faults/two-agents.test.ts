// Under a load that lasts: one in ten thousand would show.
import { twoAgentsLoseNothing } from '../e2e/support/two-agents-cases.ts';

twoAgentsLoseNothing(200, 20_000);
