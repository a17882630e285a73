// Remote Config through the daemon: what the console says, seen in HAProxy's answers.
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { FakeAgent } from '../support/fake-agent.ts';
import type { RemoteConfigRequest, RemoteFiles } from '../support/remote-config-server.ts';
import { fetchOnce, type RequestParts } from './support/http-client.ts';
import {
  answersTo,
  asm,
  blocked,
  blockedAddress,
  blockedIps,
  from,
  override,
  type PolicyFile,
  policyCases,
  reported,
  switchFile,
  wanted,
} from './support/policy-cases.ts';
import { type ProtectedProxy, startProtectedProxy } from './support/protected-proxy.ts';
import { describeOneHaproxy, type FoundHaproxy } from './support/stubbed-proxy.ts';

interface Scene {
  readonly proxy: ProtectedProxy;
  agent: FakeAgent;
}

async function startScene(binary: FoundHaproxy, env: Record<string, string> = {}): Promise<Scene> {
  const agent = await FakeAgent.start();
  const proxy = await startProtectedProxy(binary, {
    daemon: {
      env: {
        ...{ DD_APPSEC_RULES: '', DD_TRACE_ENABLED: 'true', DD_TRACE_AGENT_URL: '' },
        ...{ DD_AGENT_HOST: '127.0.0.1', DD_TRACE_AGENT_PORT: String(agent.port) },
        ...{ DD_REMOTE_CONFIG_POLL_INTERVAL_SECONDS: '0.1', ...env },
      },
    },
  });
  return { proxy, agent };
}

function pathOf(product: string, name = 'one'): string {
  return `datadog/2/${product}/${name}/config`;
}

function remoteFiles(files: readonly PolicyFile[]): RemoteFiles {
  return Object.fromEntries(
    files.map(({ product, content }, index) => [pathOf(product, `file-${index}`), content]),
  );
}

const blockReported = asm({ rules_override: [override('ua0-600-55x', { on_match: ['block'] })] });

describeOneHaproxy('Remote Config', (binary) => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await startScene(binary);
  });
  afterAll(async () => {
    await scene.proxy.stop();
    scene.agent.stop();
  });

  const serve = (files: RemoteFiles): Promise<RemoteConfigRequest> => {
    scene.agent.remoteConfig.serve(files);
    return scene.agent.remoteConfig.taken();
  };
  const statusOf = async (request: RequestParts): Promise<number> =>
    (await fetchOnce(scene.proxy.httpPort, request)).status;

  it.each(policyCases)('$what', async ({ files, checks }) => {
    const { httpPort } = scene.proxy;
    expect(await answersTo(httpPort, checks)).toEqual(wanted(checks, 'without'));
    const { client } = await serve(remoteFiles(files));
    expect(client.state.config_states.map((state) => [state.apply_state, state.apply_error])).toEqual(
      files.map(() => [2, '']),
    );
    expect(await answersTo(httpPort, checks)).toEqual(wanted(checks, 'with'));
    await serve({});
    expect(await answersTo(httpPort, checks)).toEqual(wanted(checks, 'without'));
  });

  it('a blocked address is free again when its time is over', async () => {
    const file = blockedIps(blockedAddress, Math.floor(Date.now() / 1000) + 4);
    await serve(remoteFiles([file]));
    expect(await statusOf(from(blockedAddress))).toBe(403);
    await vi.waitFor(async () => expect(await statusOf(from(blockedAddress))).toBe(200), 15_000);
    await serve({});
  });

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

  it('an answer with a wrong hash is reported and nothing of it is applied', async () => {
    await serve({ [pathOf('ASM')]: blockReported.content });
    const { remoteConfig } = scene.agent;
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

  it('a product that nobody asked for harms nothing beside it', async () => {
    await serve({ 'datadog/2/FUTURE/x/config': {}, [pathOf('ASM')]: blockReported.content });
    expect(await statusOf(reported)).toBe(403);
    await serve({});
  });

  it('outlives an Agent that goes, and follows the one that comes', async () => {
    // The versions of the next Agent begin again.
    scene.agent.remoteConfig.serve({ [pathOf('ASM')]: blockReported.content }, { version: 1000 });
    await scene.agent.remoteConfig.taken();
    const { port } = scene.agent;
    scene.agent.stop();
    expect(await statusOf(reported)).toBe(403);
    scene.agent = await FakeAgent.start(port);
    const { remoteConfig } = scene.agent;
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
  let scene: Scene;
  beforeAll(async () => {
    scene = await startScene(binary, { DD_APPSEC_ENABLED: 'true' });
  });
  afterAll(async () => {
    await scene.proxy.stop();
    scene.agent.stop();
  });

  it('does not ask for the switch and is not switched by it', async () => {
    const { remoteConfig } = scene.agent;
    remoteConfig.serve(remoteFiles([switchFile(false)]));
    const { client } = await remoteConfig.taken();
    expect(client.products).not.toContain('ASM_FEATURES');
    expect(Buffer.from(client.capabilities, 'base64').at(-1)).toBe(0b1111_1100);
    expect((await fetchOnce(scene.proxy.httpPort, blocked)).status).toBe(403);
  });
});
