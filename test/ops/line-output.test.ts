// Standard output that takes nothing for a while: real descriptors, a pipe without a reader and a full device.
import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished, vi } from 'vitest';
import { LineOutput } from '../../src/ops/line-output.ts';
import { patienceMs } from '../support/patience.ts';
import { readWaiting } from '../support/read-waiting.ts';

const noteOf = (lost: number): string => `lost ${lost}\n`;

/** A pipe whose one descriptor reads and writes without blocking. */
function openPipe(): number {
  const folder = mkdtempSync(join(tmpdir(), 'appsec-edge-pipe-'));
  const path = join(folder, 'pipe');
  execFileSync('mkfifo', [path]);
  const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  onTestFinished(() => {
    closeSync(fd);
    rmSync(folder, { recursive: true });
  });
  return fd;
}

/** Reads until the last line is there: the output tries again every 20 ms. */
async function readUntil(fd: number, last: string | RegExp): Promise<string> {
  let text = '';
  await expect
    .poll(
      () => {
        text += readWaiting(fd);
        return typeof last === 'string' ? text.endsWith(last) : last.test(text);
      },
      { timeout: patienceMs, interval: 10 },
    )
    .toBe(true);
  return text;
}

it('writes at once what the descriptor takes', () => {
  const fd = openPipe();
  new LineOutput(fd, noteOf).write('one\n');
  expect(readWaiting(fd)).toBe('one\n');
});

it('keeps whole lines for a reader that stops for a while, in order', async () => {
  const fd = openPipe();
  const output = new LineOutput(fd, noteOf);
  const lines = Array.from({ length: 5000 }, (_, index) => `line ${index} ${'x'.repeat(50)}\n`);
  for (const line of lines) output.write(line);
  expect(await readUntil(fd, lines.at(-1) ?? '')).toBe(lines.join(''));
});

it('loses what is more than it keeps, in one place, says how much, and goes on', async () => {
  const fd = openPipe();
  const output = new LineOutput(fd, noteOf);
  const line = (index: number): string => `line ${index} ${'x'.repeat(1000)}\n`;
  for (let index = 0; index < 3000; index += 1) output.write(line(index));
  const text = await readUntil(fd, /lost \d+\n$/);
  const seen = text.trimEnd().split('\n');
  const lost = Number(/^lost (\d+)$/.exec(seen.at(-1) ?? '')?.[1]);
  expect(lost).toBeGreaterThan(1500);
  expect(output.lost).toBe(lost);
  expect(`${seen.slice(0, -1).join('\n')}\n`).toBe(
    Array.from({ length: 3000 - lost }, (_, index) => line(index)).join(''),
  );
  output.write('after\n');
  expect(await readUntil(fd, 'after\n')).toBe('after\n');
});

it('outlives a full device, and does not hold the end of the process up', () => {
  const fd = openSync('/dev/full', 'w');
  onTestFinished(() => closeSync(fd));
  const output = new LineOutput(fd, noteOf);
  for (let index = 0; index < 100_000; index += 1) output.write('a line that goes nowhere at all\n');
  const sleeps = vi.spyOn(Atomics, 'wait');
  onTestFinished(() => sleeps.mockRestore());
  output.finish();
  expect(sleeps).not.toHaveBeenCalled();
});
