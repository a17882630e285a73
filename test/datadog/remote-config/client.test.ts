import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type ApplyOutcome,
  ApplyState,
  acknowledged,
  generateClientId,
  RemoteConfigClient,
  type RemoteConfigOptions,
  type RemoteConfigUpdate,
} from '../../../src/datadog/remote-config/client.ts';
import { FakeAgent } from '../../support/fake-agent.ts';
import { remoteConfigAnswer } from '../../support/remote-config-server.ts';

const path = 'datadog/2/ASM/rules/config';
let agent: FakeAgent;
beforeEach(async () => {
  agent = await FakeAgent.start();
});
afterEach(() => agent.stop());

interface Told {
  readonly updates: RemoteConfigUpdate[];
  readonly problems: (string | undefined)[];
  readonly refusals: string[];
  readonly ignored: string[];
}

function newClient(changes: Partial<RemoteConfigOptions> = {}): Told & { client: RemoteConfigClient } {
  const told: Told = { updates: [], problems: [], refusals: [], ignored: [] };
  const client = new RemoteConfigClient({
    clientId: generateClientId(),
    agentUrl: `http://127.0.0.1:${agent.port}`,
    pollIntervalMs: 1,
    products: ['ASM', 'ASM_DATA'],
    capabilities: ['ddRules', 'customRules'],
    runtimeId: 'runtime-1',
    tracerVersion: '1.2.3',
    service: 'shop',
    environment: 'test',
    version: '4.5',
    apply(update) {
      told.updates.push(update);
      return new Map(update.added.map((file) => [file.path, outcomeOf(file.raw)] as const));
    },
    observer: {
      polled: (problem) => told.problems.push(problem),
      refused: (error) => told.refusals.push(error.message),
      ignored: (paths) => told.ignored.push(...paths),
    },
    ...changes,
  });
  return { ...told, client };
}

const outcomeOf = (raw: Buffer): ApplyOutcome =>
  raw.includes('bad') ? { state: ApplyState.error, error: 'bad indeed' } : acknowledged;

describe('a poll', () => {
  it('says who asks and what it can do', async () => {
    const { client } = newClient();
    await client.poll();
    expect(agent.remoteConfig.last).toEqual({
      client: {
        id: expect.stringMatching(/^[\w-]{21}$/),
        products: ['ASM', 'ASM_DATA'],
        is_tracer: true,
        client_tracer: {
          runtime_id: 'runtime-1',
          language: 'node',
          tracer_version: '1.2.3',
          service: 'shop',
          env: 'test',
          app_version: '4.5',
          extra_services: [],
          tags: [],
        },
        capabilities: Buffer.from([0b1, 0b1000]).toString('base64'),
        state: {
          root_version: 1,
          targets_version: 0,
          config_states: [],
          has_error: false,
          error: '',
          backend_client_state: '',
        },
      },
      cached_target_files: [],
    });
  });

  it('tells what became of the files of the one before', async () => {
    const { client, updates } = newClient();
    const data = 'datadog/2/ASM_DATA/ips/config';
    agent.remoteConfig.serve({ [path]: { bad: 1 }, [data]: {} }, { backendState: 'back', fileVersion: 5 });
    await client.poll();
    await client.poll();
    expect(updates).toHaveLength(1);
    const { client: told, cached_target_files: cached } = agent.remoteConfig.last;
    expect(told.state).toMatchObject({ targets_version: 1, has_error: false, backend_client_state: 'back' });
    expect(told.state.config_states).toEqual([
      { id: 'rules', version: 5, product: 'ASM', apply_state: 3, apply_error: 'bad indeed' },
      { id: 'ips', version: 5, product: 'ASM_DATA', apply_state: 2, apply_error: '' },
    ]);
    expect(cached).toEqual([
      { path, length: 9, hashes: [{ algorithm: 'sha256', hash: expect.stringMatching(/^[0-9a-f]{64}$/) }] },
      {
        path: data,
        length: 2,
        hashes: [{ algorithm: 'sha256', hash: expect.stringMatching(/^[0-9a-f]{64}$/) }],
      },
    ]);
  });

  it('tells what became of files that a later one changed, and of what is corrected', async () => {
    const other = 'datadog/2/ASM/other/config';
    const taken: ApplyOutcome = { state: ApplyState.error, error: 'taken' };
    const { client } = newClient({
      apply: ({ added }) => new Map(added.flatMap((file) => (file.path === other ? [[path, taken]] : []))),
    });
    const states = async () => {
      await client.poll();
      return agent.remoteConfig.last.client.state.config_states.map((state) => state.apply_state);
    };
    agent.remoteConfig.serve({ [path]: {} });
    await client.poll();
    agent.remoteConfig.serve({ [path]: {}, [other]: {} });
    expect(await states()).toEqual([2]);
    expect(await states()).toEqual([3, 2]);
    const corrected = client.correct(
      new Map([
        [path, acknowledged],
        ['not/here', taken],
      ]),
    );
    expect([...corrected.keys()]).toEqual([path]);
    expect(await states()).toEqual([2, 2]);
  });

  it('takes out what the Agent no longer lists', async () => {
    const { client, updates } = newClient();
    agent.remoteConfig.serve({ [path]: {} });
    await client.poll();
    agent.remoteConfig.serve({});
    await client.poll();
    await client.poll();
    expect(updates[1]).toMatchObject({ removed: [{ path }], added: [] });
    expect(agent.remoteConfig.last.client.state).toMatchObject({ targets_version: 2, config_states: [] });
  });

  it.each(['{}', 'null', ''])('answered with %j changes nothing', async (body) => {
    const { client, updates } = newClient();
    agent.remoteConfig.serve({ [path]: {} });
    await client.poll();
    agent.remoteConfig.answer(body);
    await client.poll();
    await client.poll();
    expect(updates).toHaveLength(1);
    const { state } = agent.remoteConfig.last.client;
    expect(state).toMatchObject({ targets_version: 1, has_error: false, backend_client_state: 'state-1' });
    expect(state.config_states).toHaveLength(1);
  });

  it('that contradicts itself changes nothing, says so, and recovers', async () => {
    const { client, updates, refusals } = newClient();
    agent.remoteConfig.serve({ [path]: { a: 1 } });
    await client.poll();
    const wrong = remoteConfigAnswer({ [path]: { a: 2 } }, { version: 2, withhold: [path] });
    agent.remoteConfig.answer(JSON.stringify(wrong));
    await client.poll();
    agent.remoteConfig.serve({ [path]: { a: 3 } });
    await client.poll();
    const { state } = agent.remoteConfig.last.client;
    expect(state).toMatchObject({ targets_version: 1, has_error: true, error: refusals[0] });
    expect(state.config_states).toMatchObject([{ id: 'rules', apply_state: 2 }]);
    expect(refusals).toEqual([`${path} is new but not in target_files`]);
    await client.poll();
    expect(updates.map(({ added }) => added[0]?.raw.toString())).toEqual(['{"a":1}', '{"a":3}']);
    expect(agent.remoteConfig.last.client.state).toMatchObject({ has_error: false, error: '' });
  });

  it('applies what it understands beside what it does not', async () => {
    const { client, updates, ignored } = newClient();
    agent.remoteConfig.serve({ 'datadog/2/FUTURE/x/y': {}, [path]: {} });
    await client.poll();
    expect(ignored).toEqual(['datadog/2/FUTURE/x/y']);
    expect(updates[0]?.added.map((file) => file.path)).toEqual([path]);
  });

  it('follows an Agent whose versions begin again', async () => {
    const { client, updates } = newClient();
    agent.remoteConfig.serve({ [path]: { a: 1 } }, { version: 100 });
    await client.poll();
    agent.remoteConfig.serve({ [path]: { a: 2 } }, { version: 3 });
    await client.poll();
    await client.poll();
    expect(updates).toHaveLength(2);
    expect(agent.remoteConfig.last.client.state.targets_version).toBe(3);
  });

  it.each([
    [404, /Remote Configuration is off/],
    [500, /answered 500$/],
  ])('answered with status %i keeps what is applied', async (status, problem) => {
    const { client, updates, problems } = newClient();
    agent.remoteConfig.serve({ [path]: {} });
    await client.poll();
    agent.remoteConfig.answer('oops', status);
    await client.poll();
    await client.poll();
    expect(updates).toHaveLength(1);
    expect(problems).toEqual([expect.stringMatching(problem)]);
    expect(agent.remoteConfig.last.client.state).toMatchObject({ targets_version: 1, has_error: false });
  });

  it('of an Agent that is gone keeps what is applied, and says once that it is back', async () => {
    const { client, updates, problems } = newClient();
    agent.remoteConfig.serve({ [path]: {} });
    await client.poll();
    const { port } = agent;
    agent.stop();
    await client.poll();
    await client.poll();
    agent = await FakeAgent.start(port);
    await client.poll();
    await client.poll();
    // The kept connection may break in its own way first.
    expect(problems.at(-2)).toMatch(/ECONNREFUSED/);
    expect(problems.indexOf(undefined)).toBe(problems.length - 1);
    expect(updates).toHaveLength(1);
    expect(agent.remoteConfig.last.client.state.config_states).toHaveLength(1);
  });

  it('of an Agent that does not answer in time is given up', async () => {
    const { client, problems } = newClient({ timeoutMs: 50 });
    agent.remoteConfig.hang();
    await client.poll();
    expect(problems).toEqual(['no answer within 50 ms']);
  });
});

describe('polling', () => {
  it('goes on until it is stopped', async () => {
    const { client } = newClient();
    client.start();
    await agent.remoteConfig.waitFor(() => agent.remoteConfig.requests.length >= 3);
    client.stop();
    expect(agent.remoteConfig.requests.length).toBeGreaterThanOrEqual(3);
  });

  it('goes on after bad answers', async () => {
    const { client, updates } = newClient();
    agent.remoteConfig.answer('<html>');
    client.start();
    await agent.remoteConfig.waitFor(({ client: { state } }) => state.has_error);
    agent.remoteConfig.serve({ [path]: {} });
    await agent.remoteConfig.taken();
    await agent.remoteConfig.waitFor(({ client: { state } }) => !state.has_error);
    client.stop();
    expect(updates).toHaveLength(1);
  });

  it('goes on when an answer cannot be applied for a reason nobody thought of', async () => {
    const { client, refusals } = newClient({
      apply() {
        throw new TypeError('oops');
      },
    });
    agent.remoteConfig.serve({ [path]: {} });
    client.start();
    await agent.remoteConfig.refused();
    client.stop();
    expect(refusals[0]).toBe('TypeError: oops');
  });

  it('that is stopped applies no answer that was under way', async () => {
    const { client, updates } = newClient();
    agent.remoteConfig.serve({ [path]: {} });
    const poll = client.poll();
    client.stop();
    await poll;
    expect(updates).toEqual([]);
  });
});
