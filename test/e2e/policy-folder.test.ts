// The policy folder through the daemon: files that come and go, seen in HAProxy's answers.
import { unlinkSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { fetchOnce, type RequestParts } from './support/http-client.ts';
import {
  blocked,
  blockReported,
  itDoesEveryCase,
  itFreesAnAddressInTime,
  override,
  type PolicyDelivery,
  reported,
  switchFile,
} from './support/policy-cases.ts';
import { newFolder, put } from './support/policy-files.ts';
import { shareProtectedProxy } from './support/protected-proxy.ts';
import { describeEachHaproxy, describeOneHaproxy, type FoundHaproxy } from './support/stubbed-proxy.ts';

interface WatchedFolder {
  readonly folder: string;
  port(): number;
  /** Resolves with the line that the daemon logs about a file. */
  said(file: string, what: string): Promise<string>;
  statusOf(request: RequestParts): Promise<number>;
}

/**
 * One for all tests of the surrounding `describe`. What is put into it there is found by the daemon when it starts.
 * @param env of the daemon.
 */
function shareFolder(binary: FoundHaproxy, env: Record<string, string> = {}): WatchedFolder {
  const folder = newFolder();
  const proxy = shareProtectedProxy(binary, {
    daemon: { env: { DD_APPSEC_RULES: '', DD_HAPROXY_SPOA_POLICY_FOLDER: folder, ...env } },
  });
  const port = (): number => proxy().httpPort;
  return {
    folder,
    port,
    said: (file, what) => proxy().daemon.log.waitFor(new RegExp(`"file":"${file}".*${what}`)),
    statusOf: async (request) => (await fetchOnce(port(), request)).status,
  };
}

function deliveryBy({ folder, port, said }: WatchedFolder): PolicyDelivery {
  let deliveries = 0;
  return {
    port,
    async deliver(files) {
      // What the daemon logs about the files of one test must not be taken for those of another.
      const name = `delivery-${deliveries++}`;
      const paths = files.map(({ content }, index) => put(folder, `${name}-${index}.json`, content));
      for (const path of paths) await said(path, 'policy file in effect');
      return async () => {
        for (const path of paths) unlinkSync(path);
        for (const path of paths) await said(path, 'policy file gone');
      };
    },
  };
}

describeEachHaproxy('what the policy folder can do', (binary) => {
  itDoesEveryCase(deliveryBy(shareFolder(binary)));
});

describeOneHaproxy('the policy folder', (binary) => {
  const watched = shareFolder(binary);
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
    await said(file, 'policy file gone');
    expect(await statusOf(reported)).toBe(200);
  });
});

describeOneHaproxy('what is there when the daemon starts', (binary) => {
  describe('with a protect level', () => {
    const { folder, statusOf } = shareFolder(binary, { DD_APPSEC_PROTECT: 'all' });
    put(folder, 'override.json', { rules_override: [override('ua0-600-55x', { on_match: [] })] });

    it('is in effect for the first request, and outranks the level', async () => {
      expect(await statusOf(reported)).toBe(200);
      expect(await statusOf({ headers: { 'user-agent': 'Arachni/v1' } })).toBe(403);
    });
  });

  describe('with DD_APPSEC_ENABLED', () => {
    const { folder, statusOf } = shareFolder(binary, { DD_APPSEC_ENABLED: 'true' });
    put(folder, 'off.json', switchFile(false).content);

    it('does not switch inspection off', async () => {
      expect(await statusOf(blocked)).toBe(403);
    });
  });
});
