// What all fault tests have in common: a scene under load, a fault, and one line of the table.
import { appendFileSync } from 'node:fs';
import { expect, inject, onTestFailed, onTestFinished } from 'vitest';
import type { FoundHaproxy } from '../../e2e/support/stubbed-proxy.ts';
import type { FaultRow } from './fault-table.ts';
import { type LoadCounts, PacedLoad } from './paced-load.ts';
import { type Scene, type ScenePlan, startScene } from './scene.ts';

/** A second: about half of what two busy processors can do for HAProxy, the agent, the origin and the clients. */
export const rate = 300;

const reportLines = 60;

/** For one test; ends with it, and says what everybody said when it fails. */
export async function sceneOfTest(
  binary: FoundHaproxy,
  plan: Omit<ScenePlan, 'binary'> = {},
): Promise<Scene> {
  const scene = await startScene({ ...plan, binary: binary.path });
  onTestFinished(() => scene.stop());
  onTestFailed(() => {
    const logs = [scene.haproxy.log, ...scene.agents.map(({ log }) => log)];
    for (const log of logs) {
      const lines = log.lines.filter((line) => !line.includes('"event":"security"'));
      process.stderr.write(`---\n${lines.slice(-reportLines).join('\n')}\n`);
    }
  });
  return scene;
}

export interface Fault {
  readonly name: string;
  readonly binary: FoundHaproxy;
  readonly promise: FaultRow['promise'];
}

/**
 * Load before, during and after `cause`, whose requests are counted, written into the table, and held against the
 * promise. After it, everything is analysed again and no transaction is left.
 */
export async function underLoad(
  scene: Scene,
  fault: Fault,
  cause: (load: PacedLoad) => Promise<void>,
): Promise<LoadCounts> {
  const load = new PacedLoad(scene.httpPort, rate);
  // A test that fails on the way does not stop it.
  onTestFinished(() => void load.stop());
  await load.seen(rate / 2);
  await cause(load);
  await load.seen(rate / 2);
  const counts = await load.stop();
  const { sent, failures, lostCount: lost } = counts;
  const row: FaultRow = {
    ...{ fault: fault.name, haproxy: fault.binary.branch, rate: counts.rate, sent },
    ...{ failed: failures.length, lost, promise: fault.promise },
    why: [...counts.lost].map(([kind, count]) => `${kind}: ${count}`).join(', '),
  };
  appendFileSync(inject('faultRows'), `${JSON.stringify(row)}\n`);
  if (fault.promise !== 'some failed, some lost') expect(failures.slice(0, 10)).toEqual([]);
  if (fault.promise === 'none lost') expect(Object.fromEntries(counts.lost)).toEqual({});
  await isWhole(scene);
  return counts;
}

const attempts = 5;

/** Soon everything is analysed again: a whole round of requests, of at most five. */
export async function isWhole(scene: Scene): Promise<void> {
  for (let attempt = 1; attempt <= attempts; attempt += 1) {
    const load = new PacedLoad(scene.httpPort, 100, 4);
    onTestFinished(() => void load.stop());
    await load.seen(60);
    const { failures, lost } = await load.stop();
    expect(failures).toEqual([]);
    if (lost.size === 0) return;
    if (attempt === attempts) expect(Object.fromEntries(lost)).toEqual({});
  }
}
