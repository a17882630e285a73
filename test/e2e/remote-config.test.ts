// Remote Config through the daemon: what the console says, seen in HAProxy's answers.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { FakeAgent } from '../support/fake-agent.ts';
import type { RemoteConfigRequest, RemoteFiles } from '../support/remote-config-server.ts';
import type { RequestParts } from './support/http-client.ts';
import {
  asm,
  blocked,
  blockedAddress,
  blockedIps,
  blockReported,
  from,
  itDoesEveryCase,
  itFreesAnAddressInTime,
  override,
  type PolicyDelivery,
  reported,
  switchFile,
} from './support/policy-cases.ts';
import { pathOf, RemoteScene, remoteFiles } from './support/remote-scene.ts';
import { describeAllHaproxies, describeOneHaproxy, type FoundHaproxy } from './support/stubbed-proxy.ts';

/** One for all tests of the surrounding `describe`. */
function shareScene(binaries: readonly FoundHaproxy[], env: Record<string, string> = {}): () => RemoteScene {
  let scene: RemoteScene | undefined;
  beforeAll(async () => {
    scene = await RemoteScene.start(binaries, env);
  });
  afterAll(() => scene?.stop());
  return () => {
    if (scene === undefined) throw new Error('asked for before the tests of this describe began');
    return scene;
  };
}

function deliveryBy(scene: () => RemoteScene): PolicyDelivery {
  return {
    ports: () => scene().ports,
    async deliver(files) {
      const { client } = await scene().serve(remoteFiles(files));
      expect(client.state.config_states.map((state) => [state.apply_state, state.apply_error])).toEqual(
        files.map(() => [2, '']),
      );
      return async () => {
        await scene().serve({});
      };
    },
  };
}

describeAllHaproxies('what Remote Config can do', (binaries) => {
  itDoesEveryCase(deliveryBy(shareScene(binaries)));
});

describeOneHaproxy('Remote Config', (binary) => {
  const scene = shareScene([binary]);
  const serve = (files: RemoteFiles): Promise<RemoteConfigRequest> => scene().serve(files);
  const statusOf = (request: RequestParts): Promise<number> => scene().statusOf(request);

  itFreesAnAddressInTime(deliveryBy(scene));

  it.each([
    ['broken JSON', '{"rules_override": [', /JSON/],
    [
      'what libddwaf refuses',
      { rules_override: [{ on_match: ['block'], rules_target: 'x' }] },
      /rules_override/,
    ],
  ])('a file with %s is reported and leaves the last good one in effect', async (_what, content, error) => {
    await serve({ [pathOf('ASM')]: blockReported.content });
    const { client } = await serve({ [pathOf('ASM')]: content });
    expect(client.state.config_states).toMatchObject([
      { apply_state: 3, apply_error: expect.stringMatching(error) },
    ]);
    expect(await statusOf(reported)).toBe(403);
    await serve({});
    expect(await statusOf(reported)).toBe(200);
  });

  it('a configuration that refers to nothing is acknowledged, and named in the log once', async () => {
    const { log } = scene().proxy.daemon;
    const { content } = asm({ rules_override: [override('ua0-600-55x', { on_match: ['deny'] })] });
    const { client } = await serve({ [pathOf('ASM')]: content });
    expect(client.state.config_states).toMatchObject([{ apply_state: 2, apply_error: '' }]);
    const word =
      /Remote Config datadog.*: rules_override\[0\]\.on_match\[0\]: unknown action 'deny'; did you mean 'block'\?/;
    expect(JSON.parse(await log.waitFor(word))).toMatchObject({ level: 'warn', path: pathOf('ASM') });
    expect(await statusOf(reported)).toBe(200);
    await serve({ [pathOf('ASM')]: content, [pathOf('ASM_DATA')]: blockedIps(blockedAddress).content });
    await serve({});
    expect(log.lines.filter((line) => word.test(line))).toHaveLength(1);
  });

  it('an answer with a wrong hash is reported and nothing of it is applied', async () => {
    await serve({ [pathOf('ASM')]: blockReported.content });
    const { remoteConfig } = scene().agent;
    remoteConfig.serve(
      { [pathOf('ASM_DATA')]: blockedIps(blockedAddress).content },
      {
        edit(targets) {
          for (const target of Object.values(targets)) target.hashes = { sha256: '0'.repeat(64) };
        },
      },
    );
    const { client } = await remoteConfig.refused();
    expect(client.state.error).toMatch(/ASM_DATA.*has sha256/);
    expect(client.state.config_states).toMatchObject([{ product: 'ASM', apply_state: 2 }]);
    expect(await statusOf(reported)).toBe(403);
    expect(await statusOf(from(blockedAddress))).toBe(200);
    await serve({});
  });

  it('two switches are none, whichever came first, and the one that is left counts', async () => {
    const [on, off] = [pathOf('ASM_FEATURES', 'on'), pathOf('ASM_FEATURES', 'off')];
    const content = (enabled: boolean): unknown => switchFile(enabled).content;
    const states = ({ client }: RemoteConfigRequest): number[] =>
      client.state.config_states.map((state) => state.apply_state);
    expect(states(await serve({ [off]: content(false) }))).toEqual([2]);
    expect(await statusOf(blocked)).toBe(200);
    expect(states(await serve({ [off]: content(false), [on]: content(true) }))).toEqual([1, 1]);
    expect(await statusOf(blocked)).toBe(403);
    expect(states(await serve({ [off]: content(false) }))).toEqual([2]);
    expect(await statusOf(blocked)).toBe(200);
    await serve({});
    expect(await statusOf(blocked)).toBe(403);
  });

  it('a second action of one id comes into effect, and says so, when the first goes', async () => {
    const teapot = (code: number): unknown => ({
      actions: [{ id: 'teapot', type: 'block_request', parameters: { status_code: code, type: 'json' } }],
    });
    const { content } = asm({ rules_override: [override('ua0-600-55x', { on_match: ['teapot'] })] });
    const second = { [pathOf('ASM', 'b')]: teapot(429), [pathOf('ASM', 'c')]: content };
    const both = await serve({ [pathOf('ASM', 'a')]: teapot(418), ...second });
    expect(both.client.state.config_states).toMatchObject([
      { id: 'a', apply_state: 2 },
      { id: 'b', apply_state: 3, apply_error: expect.stringContaining('duplicate action') },
      { id: 'c', apply_state: 2 },
    ]);
    expect(await statusOf(reported)).toBe(418);
    const { client } = await serve(second);
    expect(client.state.config_states).toMatchObject([
      { id: 'b', apply_state: 2, apply_error: '' },
      { id: 'c', apply_state: 2 },
    ]);
    expect(await statusOf(reported)).toBe(429);
    await serve({});
  });

  it('a product that nobody asked for harms nothing beside it', async () => {
    await serve({ 'datadog/2/FUTURE/x/config': {}, [pathOf('ASM')]: blockReported.content });
    expect(await statusOf(reported)).toBe(403);
    await serve({});
  });

  it('outlives an Agent that goes, and follows the one that comes', async () => {
    // The versions of the next Agent begin again.
    scene().agent.remoteConfig.serve({ [pathOf('ASM')]: blockReported.content }, { version: 1000 });
    await scene().agent.remoteConfig.taken();
    const { port } = scene().agent;
    scene().agent.stop();
    expect(await statusOf(reported)).toBe(403);
    scene().agent = await FakeAgent.start(port);
    const { remoteConfig } = scene().agent;
    // An Agent that does not know anything yet.
    await remoteConfig.waitFor(() => remoteConfig.requests.length > 2);
    expect(remoteConfig.last.client.state.config_states).toHaveLength(1);
    expect(await statusOf(reported)).toBe(403);
    await serve({ [pathOf('ASM_DATA')]: blockedIps(blockedAddress).content });
    expect(await statusOf(reported)).toBe(200);
    expect(await statusOf(from(blockedAddress))).toBe(403);
    await serve({});
  });
});

describeOneHaproxy('with DD_APPSEC_ENABLED set, Remote Config', (binary) => {
  const scene = shareScene([binary], { DD_APPSEC_ENABLED: 'true' });

  it('does not ask for the switch and is not switched by it', async () => {
    const { remoteConfig } = scene().agent;
    remoteConfig.serve(remoteFiles([switchFile(false)]));
    const { client } = await remoteConfig.taken();
    expect(client.products).not.toContain('ASM_FEATURES');
    expect(Buffer.from(client.capabilities, 'base64').at(-1)).toBe(0b1111_1100);
    expect(await scene().statusOf(blocked)).toBe(403);
  });
});
