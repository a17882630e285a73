import type { Work } from '../../workers/work-estimates.ts';
import type { Arrival } from './stream-direction.ts';
import { messageKinds } from './wire/kinds.ts';

/*
 * Until something is known, with the recommended ruleset and a warm process: rather too low than too high, for nothing may
 * be let through unseen because of a guess. See WorkEstimates.
 */
const messageUs = 100;
const bodyByteUs = 0.1;
const bodyUs = 20_000;

/** What the analysis of a message is like, as far as one can tell without it. */
export function workOf({ kind, bytes }: Arrival): Work {
  const isBody = kind === 'request-body' || kind === 'response-body';
  return {
    kind: messageKinds.indexOf(kind),
    size: bytes.length,
    guessUs: messageUs + (isBody ? Math.min(bytes.length * bodyByteUs, bodyUs) : 0),
  };
}
