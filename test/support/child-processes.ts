// Processes of a test, a fuzz run or a soak do not outlive it, however it ends.
import type { ChildProcess } from 'node:child_process';

const living = new Set<ChildProcess>();

process.once('exit', () => {
  for (const child of living) child.kill('SIGKILL');
});

/** @returns the same child; it is killed when this process exits before it. */
export function dieTogether<Child extends ChildProcess>(child: Child): Child {
  living.add(child);
  child.once('exit', () => living.delete(child));
  return child;
}

/** For a program of its own: a signal ends it as `process.exit` does, not without a word to the children. */
export function exitOnSignals(): void {
  process.once('SIGINT', () => process.exit(130));
  process.once('SIGTERM', () => process.exit(143));
}
