import type { DoorMetrics } from '../../../src/ops/door-metrics.ts';

/** What both sides tell, so that neither knows names of metrics. What the operator should read goes to the log, too. */
export const observeMemory = (metrics: DoorMetrics) => ({
  connected: (): void => metrics.connectionAccepted(),
  message: (name: string): void => metrics.message(name),
  skipped: (reason: string): void => metrics.skipped(reason),
  refused: (): void => metrics.error<'protocol'>('protocol'),
});
