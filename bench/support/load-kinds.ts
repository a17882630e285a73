import type { MixName } from './http-transactions.ts';
import type { LoadPlan } from './load-plan.ts';

const connections = 4;

/** @param streams transactions under way */
export function closed(mix: MixName, streams = 32): LoadPlan {
  const arrival = { kind: 'closed', streams } as const;
  return { name: `${mix}, closed`, mix, connections: Math.min(connections, streams), arrival };
}

export function open(mix: MixName, perSecond: number): LoadPlan {
  return { name: `${mix}, open`, mix, connections, arrival: { kind: 'open', perSecond } };
}
