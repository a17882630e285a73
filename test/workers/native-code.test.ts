// Threads inside the real libddwaf, in processes of their own: what is wrong there ends a process with SIGABRT.
import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { dieTogether } from '../support/child-processes.ts';
import { patienceMs } from '../support/patience.ts';

const script = fileURLToPath(new URL('../support/native-scene.ts', import.meta.url));

async function play(...scene: string[]) {
  const startedAtMs = performance.now();
  const child = dieTogether(
    spawn(process.execPath, [script, ...scene], { stdio: ['ignore', 'pipe', 'pipe'] }),
  );
  const ended = new Promise<unknown>((resolve) =>
    child.once('close', (code, signal) => resolve(signal ?? code)),
  );
  const [stdout, stderr, end] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { end, said: stdout.trim().split('\n'), stderr, tookMs: performance.now() - startedAtMs };
}

describe('an engine thread inside libddwaf', () => {
  it(
    'that is given up ends once libddwaf returns, and its place is taken at once',
    async () => {
      const { end, said, stderr } = await play('stuck', '5000', '500');
      expect(stderr).toBe('');
      expect(said).toEqual([
        ...['lost in native code', 'abandoned: 1', 'its job: lost'],
        ...["its successor's job: done", 'the end'],
      ]);
      expect(end).toBe(0);
    },
    patienceMs,
  );

  it.each([
    ['exits', 'exit', 3, /^$/],
    ['stops its threads and exits', 'stop', 3, /^$/],
    ['ends with an error', 'throw', 1, /^(?!.*FATAL).*a mistake in the I\/O thread/s],
  ])(
    'does not change how a process ends that %s',
    async (_what, scene, wantedEnd, wantedStderr) => {
      // A run that soon returns, and one that nobody waits for.
      for (const runMs of ['400', '600000']) {
        const { end, stderr } = await play(scene, runMs);
        expect(stderr).toMatch(wantedStderr);
        expect(end).toBe(wantedEnd);
      }
    },
    2 * patienceMs,
  );
});
