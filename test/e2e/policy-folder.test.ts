// The policy folder through the daemon: files that come and go, seen in HAProxy's answers.
import { unlinkSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { fetchOnce, type RequestParts } from './support/http-client.ts';
import type { LineLog } from './support/line-log.ts';
import {
  blocked,
  blockReported,
  from,
  itDoesEveryCase,
  itFreesAnAddressInTime,
  override,
  type PolicyDelivery,
  reported,
  switchFile,
} from './support/policy-cases.ts';
import { newFolder, put } from './support/policy-files.ts';
import { shareProtectedProxy } from './support/protected-proxy.ts';
import { describeAllHaproxies, describeOneHaproxy, type FoundHaproxy } from './support/stubbed-proxy.ts';

interface WatchedFolder {
  readonly folder: string;
  ports(): readonly number[];
  /** Resolves with the line that the daemon logs about a file. */
  said(file: string, what: string): Promise<string>;
  /** Of the answer through each HAProxy; throws when they differ. */
  statusOf(request: RequestParts): Promise<number>;
  /** How often the daemon has logged the message of this line. */
  timesSaid(line: string): number;
}

/**
 * One for all tests of the surrounding `describe`. What is put into it there is found by the daemon when it starts.
 * @param env of the daemon.
 */
function shareFolder(binaries: readonly FoundHaproxy[], env: Record<string, string> = {}): WatchedFolder {
  const folder = newFolder();
  const settings = {
    ...{ DD_APPSEC_RULES: '', APPSEC_EDGE_ENGINE_THREADS: '2', APPSEC_EDGE_POLICY_FOLDER: folder },
    ...env,
  };
  const proxies = binaries.map((binary) => shareProtectedProxy(binary, { daemon: { env: settings } }));
  const ports = (): number[] => proxies.map((proxy) => proxy().httpPort);
  const log = (): LineLog => {
    const [first] = proxies;
    if (first === undefined) throw new Error('there is no HAProxy');
    return first().daemon.log;
  };
  return {
    folder,
    ports,
    said: (file, what) => log().waitFor(new RegExp(`"file":"${file}".*${what}`)),
    async statusOf(request) {
      const [first, ...others] = await Promise.all(ports().map((port) => fetchOnce(port, request)));
      for (const other of others) expect(other.status).toBe(first?.status);
      return first?.status ?? 0;
    },
    timesSaid: (line) => log().lines.filter((other) => messageOf(other) === messageOf(line)).length,
  };
}

function messageOf(line: string): unknown {
  return (JSON.parse(line) as { msg?: unknown }).msg;
}

function deliveryBy({ folder, ports, said }: WatchedFolder): PolicyDelivery {
  let deliveries = 0;
  return {
    ports,
    async deliver(files) {
      // What the daemon logs about the files of one test must not be taken for those of another.
      const name = `delivery-${deliveries++}`;
      const paths = files.map(({ content }, index) => put(folder, `${name}-${index}.json`, content));
      for (const path of paths) await said(path, 'policy file in effect');
      return async () => {
        for (const path of paths) unlinkSync(path);
        for (const path of paths) await said(path, 'policy file removed');
      };
    },
  };
}

describeAllHaproxies('what the policy folder can do', (binaries) => {
  const watched = shareFolder(binaries);
  itDoesEveryCase(deliveryBy(watched));

  it('is done by a file with a byte order mark and by one named *.JSON, and what does nothing in them is said', async () => {
    const { folder, said, statusOf } = watched;
    const [one, other] = ['198.51.100.21', '198.51.100.22'];
    const rules = { rules_override: [override('ua0-600-550', { on_match: ['deny'] })] };
    const marked = put(folder, 'marked.json', `\ufeff${JSON.stringify({ ...rules, ...listOf(one) })}`);
    const loud = put(folder, 'LOUD.JSON', { ...listOf(other, `${other} `), rule_overrides: [] });
    const lines = [
      await said(
        marked,
        "rules_override\\[0\\]\\.rules_target\\[0\\]\\.rule_id: unknown rule 'ua0-600-550'; did you mean 'ua0-600-",
      ),
      await said(
        marked,
        "rules_override\\[0\\]\\.on_match\\[0\\]: unknown action 'deny'; did you mean 'block'",
      ),
      await said(
        loud,
        `rules_data\\[0\\]\\.data\\[1\\]\\.value: '${other} ' is not an address: .*did you mean '${other}'`,
      ),
      await said(loud, "rule_overrides: unknown key 'rule_overrides': .*did you mean 'rules_override'"),
    ];
    expect(lines.map((line) => JSON.parse(line).level)).toEqual(['warn', 'warn', 'warn', 'warn']);
    expect(
      await Promise.all([one, other, '198.51.100.23'].map((address) => statusOf(from(address)))),
    ).toEqual([...[403, 403, 200]]);
    for (const file of [marked, loud]) {
      unlinkSync(file);
      await said(file, 'policy file removed');
    }
    expect(await statusOf(from(one))).toBe(200);
    // The threads apply the same files, and only the one that applies them first says it.
    for (const line of lines) expect(watched.timesSaid(line)).toBe(1);
  });
});

function listOf(...values: readonly string[]): object {
  return {
    rules_data: [{ id: 'blocked_ips', type: 'ip_with_expiration', data: values.map((value) => ({ value })) }],
  };
}

describeOneHaproxy('the policy folder', (binary) => {
  const watched = shareFolder([binary]);
  const { folder, said, statusOf } = watched;

  itFreesAnAddressInTime(deliveryBy(watched));

  it.each([
    ['broken JSON', 'broken.json', '{"rules_override": [', 'JSON'],
    ['what libddwaf refuses', 'refused.json', { rules_override: [{ rules_target: 'x' }] }, 'rules_override'],
  ])('%s is named with its file and leaves the last good content', async (_what, name, content, problem) => {
    const file = put(folder, name, blockReported.content);
    await said(file, 'policy file in effect');
    put(folder, name, content);
    const line = await said(file, `policy .*${problem}`);
    expect(JSON.parse(line)).toMatchObject({ level: 'error', file });
    expect(await statusOf(reported)).toBe(403);
    unlinkSync(file);
    await said(file, 'policy file removed');
    expect(await statusOf(reported)).toBe(200);
  });
});

describeOneHaproxy('what is there when the daemon starts', (binary) => {
  describe('with a protect level', () => {
    const { folder, statusOf } = shareFolder([binary], { DD_APPSEC_PROTECT: 'all' });
    put(folder, 'override.json', { rules_override: [override('ua0-600-55x', { on_match: [] })] });

    it('is in effect for the first request, and outranks the level', async () => {
      expect(await statusOf(reported)).toBe(200);
      expect(await statusOf({ headers: { 'user-agent': 'Arachni/v1' } })).toBe(403);
    });
  });

  describe('with DD_APPSEC_ENABLED', () => {
    const { folder, statusOf } = shareFolder([binary], { DD_APPSEC_ENABLED: 'true' });
    put(folder, 'off.json', switchFile(false).content);

    it('does not switch inspection off', async () => {
      expect(await statusOf(blocked)).toBe(403);
    });
  });
});
