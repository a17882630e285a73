// Somebody sets the clock of the machine while the agent works.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { describeOneHaproxy } from '../e2e/support/stubbed-proxy.ts';
import { sceneOfTest, underLoad } from './support/fault.ts';

const hourMs = 3_600_000;
const preload = join(import.meta.dirname, 'support', 'jumping-clock.cjs');

describeOneHaproxy('the clock jumps', (binary) => {
  it('by hours, forth and back: nothing expires early or stays, and the log shows the time of the clock', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'appsec-edge-clock-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const file = join(folder, 'offset');
    writeFileSync(file, '0');
    const env = { NODE_OPTIONS: `--require ${preload}`, TEST_CLOCK_FILE: file };
    const scene = await sceneOfTest(binary, { daemon: { env } });
    const log = scene.agents[0]?.log.lines ?? [];
    const shownOffset = (): number => {
      const line = log.findLast((text) => text.includes('"event":"security"')) ?? '{}';
      const { time } = JSON.parse(line) as { time?: string };
      return Math.round((Date.parse(time ?? '') - Date.now()) / hourMs);
    };
    await underLoad(scene, { name: 'clock jumps by hours', binary, promise: 'none lost' }, async (load) => {
      for (const hours of [1, -1, 24, 0]) {
        writeFileSync(file, String(hours * hourMs));
        await expect.poll(shownOffset, { timeout: 5000 }).toBe(hours);
        await load.seen(150);
      }
    });
    await expect.poll(() => scene.metric('transactions_live'), { timeout: 10_000 }).toBe(0);
    expect(await scene.metric('transactions_total', { reason: 'expired' })).toBe(0);
    expect(await scene.metric('transactions_total', { reason: 'evicted' })).toBe(0);
    expect(await scene.agents[0]?.stop('SIGTERM')).toBe(0);
  });
});
