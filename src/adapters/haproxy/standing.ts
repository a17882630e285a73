/*
 * What HAProxy is told of a transaction as a whole, in the variable `verdict`. It never becomes better: what one message
 * came to stands, whatever the next ones come to. HAProxy brings the standing back as a mark in the identity (see
 * identity.ts), since the next message may reach an agent, a thread or an answer of the router that knows nothing of it.
 */
import type { Analysis } from '../../engine/transaction.ts';

/** Best first. */
export const standings = [
  ...(['pass', 'partial', 'skipped', 'error'] as const),
  ...(['report', 'redirect', 'block'] as const),
];
export type Standing = (typeof standings)[number];

export function worseStanding(one: Standing, other: Standing): Standing {
  return standings.indexOf(one) > standings.indexOf(other) ? one : other;
}

/** Those that HAProxy keeps for us: `pass` goes without saying, and a block ends the transaction. */
export const marks = ['partial', 'skipped', 'error', 'report'] as const satisfies readonly Standing[];
export type Mark = (typeof marks)[number];

export function markOf(standing: Standing): Mark | undefined {
  return marks.find((mark) => mark === standing);
}

/** `pass` when nobody knows yet. */
export function standingOf(analysis: Analysis): Standing {
  if (analysis.deferred === true) return analysis.skipped === true ? 'skipped' : 'pass';
  const { verdict, transaction } = analysis;
  const { coverage } = transaction;
  return worseStanding(verdict.kind, coverage === 'whole' ? 'pass' : coverage);
}
