import type { Engines, EnginesOptions } from './engines.ts';
import { startInline } from './inline-engines.ts';
import { usableProcessors } from './processors.ts';
import { startThreads } from './threaded-engines.ts';

/** More than this, the one I/O thread could hardly feed. */
const mostThreads = 8;

/** @throws StartError or RulesetError. */
export async function startEngines(options: EnginesOptions): Promise<Engines> {
  const { engineThreads } = options.config;
  const count =
    engineThreads === 'auto' ? threadsFor(usableProcessors(), process.constrainedMemory()) : engineThreads;
  return count === 0 ? await startInline(options) : await startThreads(options, count);
}

/** Of the process without engine threads, and of each of them, under load: see docs/performance.md. */
const baseBytes = 150 * 1024 * 1024;
const threadBytes = 110 * 1024 * 1024;

/**
 * @param processors that the process may use.
 * @param memoryBytes that its control group allows; 0 when nothing does.
 */
export function threadsFor(processors: number, memoryBytes: number): number {
  if (processors < 2) return 0;
  const affordable = memoryBytes === 0 ? mostThreads : Math.floor((memoryBytes - baseBytes) / threadBytes);
  return Math.max(0, Math.min(processors, mostThreads, affordable));
}
