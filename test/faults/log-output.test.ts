// Standard output takes nothing: the daemon goes on, and says what was lost once it can.
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { Http1Connection } from '../e2e/support/http-client.ts';
import { describeOneHaproxy } from '../e2e/support/stubbed-proxy.ts';
import { readWaiting } from '../support/read-waiting.ts';
import { sceneOfTest, underLoad } from './support/fault.ts';

/** The daemon's standard output goes into a file or device; one line for every few bytes it has to say. */
const into = (path: string) => ({
  wrapper: ['sh', '-c', 'out=$1; shift; exec "$@" >>"$out"', 'sh', path],
  env: { APPSEC_EDGE_LOG_LEVEL: 'debug' },
});

function folderOfTest(): string {
  const folder = mkdtempSync(join(tmpdir(), 'appsec-edge-log-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

describeOneHaproxy('standard output', (binary) => {
  it('to a full device: nothing is lost but lines, and the daemon ends with 0', async () => {
    const scene = await sceneOfTest(binary, { daemon: into('/dev/full') });
    await underLoad(scene, { name: 'log to a full device', binary, promise: 'none lost' }, (load) =>
      load.seen(600),
    );
    expect(await scene.agents[0]?.stop('SIGTERM')).toBe(0);
  });

  it('to a disk that is full for a while: all lines are there afterwards', async (context) => {
    const folder = folderOfTest();
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', folder], { stdio: 'ignore' });
    } catch {
      context.skip('a file system of its own cannot be mounted here');
    }
    onTestFinished(() => void execFileSync('umount', ['-l', folder]));
    const file = join(folder, 'log');
    const filler = join(folder, 'filler');
    const scene = await sceneOfTest(binary, { daemon: into(file) });
    const reports = (): number => readFileSync(file, 'utf8').split('"event":"security"').length - 1;
    await underLoad(
      scene,
      { name: 'disk full under the log, then not', binary, promise: 'none lost' },
      async (load) => {
        expect(() => writeFileSync(filler, Buffer.alloc(60_000))).toThrow('ENOSPC');
        // What was begun goes to the end of its page; then nothing does.
        await load.seen(300);
        const full = reports();
        await load.seen(150);
        expect(reports()).toBe(full);
        execFileSync('mount', ['-o', 'remount,size=4m', folder]);
        unlinkSync(filler);
        await expect.poll(reports, { timeout: 5000 }).toBeGreaterThan(full + 20);
      },
    );
    for (const line of readFileSync(file, 'utf8').trimEnd().split('\n')) JSON.parse(line);
  });

  it('to a pipe whose reader stops: the daemon goes on, and says how many lines were lost', async () => {
    const path = join(folderOfTest(), 'pipe');
    execFileSync('mkfifo', [path]);
    // Without a reader, opening it for writing would wait.
    const reader = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
    onTestFinished(() => closeSync(reader));
    const scene = await sceneOfTest(binary, { daemon: into(path) });
    let text = '';
    await underLoad(scene, { name: 'log reader stops', binary, promise: 'none lost' }, async (load) => {
      // A pipe takes 64 KiB and the daemon keeps 1 MiB.
      const connection = new Http1Connection(scene.httpPort);
      for (let count = 0; count < 250; count += 1) {
        const target = `/?q=attack-block&filler=${'x'.repeat(7000)}`;
        expect((await connection.request({ target })).status).toBe(403);
      }
      connection.close();
      await load.seen(300);
      const note = (): boolean => {
        text += readWaiting(reader);
        return text.includes('"msg":"log lines lost');
      };
      await expect.poll(note, { timeout: 20_000, interval: 10 }).toBe(true);
    });
    text += readWaiting(reader);
    expect(await scene.metric('log_lines_lost_total')).toBeGreaterThan(0);
    expect(text).toContain('"event":"security"');
    for (const line of text.slice(0, text.lastIndexOf('\n')).split('\n')) JSON.parse(line);
    expect(await scene.agents[0]?.stop('SIGTERM')).toBe(0);
  });

  it('to a reader that is gone: the daemon goes on', async () => {
    const wrapper = ['bash', '-c', 'exec "$@" > >(exec head -n 1 >/dev/null)', 'bash'];
    const scene = await sceneOfTest(binary, { daemon: { wrapper } });
    await underLoad(scene, { name: 'log reader gone', binary, promise: 'none lost' }, (load) =>
      load.seen(300),
    );
    expect(await scene.agents[0]?.stop('SIGTERM')).toBe(0);
  });
});
