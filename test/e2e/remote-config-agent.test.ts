// Remote Config through the daemon: Agents on unix sockets, slow ones, failing ones, and the policy folder beside them.
import { unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, vi } from 'vitest';
import { patienceMs } from './support/patience.ts';
import { asm, blockedAddress, blockedIps, from, override, reported } from './support/policy-cases.ts';
import { newFolder, put } from './support/policy-files.ts';
import { pathOf, RemoteScene } from './support/remote-scene.ts';
import { describeOneHaproxy } from './support/stubbed-proxy.ts';

const blockReported = {
  [pathOf('ASM')]: asm({ rules_override: [override('ua0-600-55x', { on_match: ['block'] })] }).content,
};
const blockAddress = { [pathOf('ASM_DATA')]: blockedIps(blockedAddress).content };

describeOneHaproxy('Remote Config', (binary) => {
  const socketFolder = newFolder();

  it('of an Agent on a unix socket is in effect', async () => {
    const scene = await RemoteScene.start([binary], {}, join(socketFolder, 'agent.sock'));
    try {
      const { client } = await scene.serve(blockReported);
      expect(client.state.config_states).toMatchObject([{ apply_state: 2 }]);
      expect(await scene.statusOf(reported)).toBe(403);
      await scene.serve({});
      expect(await scene.statusOf(reported)).toBe(200);
    } finally {
      await scene.stop();
    }
  });

  it('of a slow Agent is in effect, and the Agent is asked one thing at a time', async () => {
    const scene = await RemoteScene.start([binary]);
    try {
      const { remoteConfig } = scene.agent;
      remoteConfig.delay(500);
      await scene.serve(blockReported);
      expect(await scene.statusOf(reported)).toBe(403);
      await scene.serve({});
      expect(await scene.statusOf(reported)).toBe(200);
      expect(remoteConfig.mostAtOnce).toBe(1);
    } finally {
      await scene.stop();
    }
  });

  it.each([404, 500])(
    'outlives answers with status %i, and follows the good ones after them',
    async (status) => {
      const scene = await RemoteScene.start([binary]);
      try {
        const { remoteConfig } = scene.agent;
        await scene.serve(blockReported);
        remoteConfig.answer('oops', status);
        const before = remoteConfig.requests.length;
        const { client } = await remoteConfig.waitFor(() => remoteConfig.requests.length > before + 2);
        expect(client.state).toMatchObject({ has_error: false, config_states: [{ apply_state: 2 }] });
        expect(await scene.statusOf(reported)).toBe(403);
        await scene.serve(blockAddress);
        expect(await scene.statusOf(reported)).toBe(200);
        expect(await scene.statusOf(from(blockedAddress))).toBe(403);
      } finally {
        await scene.stop();
      }
    },
  );
});

describeOneHaproxy('Remote Config and the policy folder', (binary) => {
  const [listFolder, actionFolder] = [newFolder(), newFolder()];
  const teapot = (code: number): object => ({
    actions: [{ id: 'teapot', type: 'block_request', parameters: { status_code: code, type: 'json' } }],
    rules_override: [override('ua0-600-55x', { on_match: ['teapot'] })],
  });

  it('are both in effect, and what one takes back leaves the other', async () => {
    const scene = await RemoteScene.start([binary], { APPSEC_EDGE_POLICY_FOLDER: listFolder });
    const statuses = async (): Promise<number[]> => [
      await scene.statusOf(reported),
      await scene.statusOf(from(blockedAddress)),
      await scene.statusOf(from('198.51.100.8')),
    ];
    try {
      const { log } = scene.proxy.daemon;
      const file = put(listFolder, 'list.json', blockedIps('198.51.100.8').content);
      await log.waitFor(/list\.json.*policy file in effect/);
      await scene.serve({ ...blockReported, ...blockAddress });
      expect(await statuses()).toEqual([403, 403, 403]);
      await scene.serve(blockReported);
      expect(await statuses()).toEqual([403, 200, 403]);
      unlinkSync(file);
      await log.waitFor(/list\.json.*policy file removed/);
      expect(await statuses()).toEqual([403, 200, 200]);
    } finally {
      await scene.stop();
    }
  });

  it('with an action of one id: the console has it, and the file is told when it may', async () => {
    const scene = await RemoteScene.start([binary], { APPSEC_EDGE_POLICY_FOLDER: actionFolder });
    try {
      const { log } = scene.proxy.daemon;
      put(actionFolder, 'teapot.json', teapot(429));
      await log.waitFor(/teapot\.json.*policy file in effect/);
      expect(await scene.statusOf(reported)).toBe(429);
      const { client } = await scene.serve({ [pathOf('ASM')]: teapot(418) });
      expect(client.state.config_states).toMatchObject([{ apply_state: 2 }]);
      await log.waitFor(/teapot\.json.*duplicate action/);
      expect(await scene.statusOf(reported)).toBe(418);
      await scene.serve({});
      expect(await scene.statusOf(reported)).toBe(429);
      // At first, without its action, and whole again.
      await vi.waitFor(
        () => expect(log.lines.filter((line) => line.includes('policy file in effect'))).toHaveLength(3),
        patienceMs,
      );
    } finally {
      await scene.stop();
    }
  });
});
