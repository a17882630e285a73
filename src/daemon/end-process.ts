import { accessSync, constants, writeSync } from 'node:fs';
import { inspect } from 'node:util';
import type { EngineThreads } from '../workers/engine-threads.ts';

/**
 * Whatever this process ends for: native code of its threads is out of the way before Node ends them. Nothing waits
 * long for it, and the exit code stays.
 */
export function endSafelyWith(threads: Pick<EngineThreads, 'keepOutOfNativeCode'>): void {
  let uncaught: { readonly cause: unknown } | undefined;
  process.once('uncaughtExceptionMonitor', (cause) => {
    uncaught = { cause };
  });
  process.once('exit', (code) => {
    if (threads.keepOutOfNativeCode()) return;
    // Node would print it after this.
    if (uncaught !== undefined) writeSync(process.stderr.fd, `${inspect(uncaught.cause)}\n`);
    endProcessAtOnce(code);
  });
}

/**
 * Ends the process although threads of it are in native code: `process.exit` would end them there, which aborts the
 * process, or wait for them, perhaps forever. The kernel ends them when another program takes the place of the process:
 * Node again, which only exits. Signals would not do: the first process of a container ignores its own.
 */
function endProcessAtOnce(code: number): void {
  if (process.execve !== undefined && isExecutable(process.execPath)) {
    const environment = { ...process.env, NODE_OPTIONS: '' };
    process.execve(process.execPath, ['node', '--eval', `process.exit(${code})`], environment);
  }
  // Node 23.8 to 23.10, and a Node that was removed while it ran.
  process.kill(process.pid, 'SIGKILL');
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
