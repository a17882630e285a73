// The policy folder through the daemon: files that come and go, seen in HAProxy's answers.
import { unlinkSync } from 'node:fs';
import { describe, expect, it, vi } from 'vitest';
import { fetchOnce, type RequestParts } from './support/http-client.ts';
import {
  answersTo,
  asm,
  blocked,
  blockedAddress,
  blockedIps,
  from,
  override,
  policyCases,
  reported,
  switchFile,
  wanted,
} from './support/policy-cases.ts';
import { newFolder, put } from './support/policy-files.ts';
import { shareProtectedProxy } from './support/protected-proxy.ts';
import { describeEachHaproxy, describeOneHaproxy } from './support/stubbed-proxy.ts';

describeEachHaproxy('what the policy folder can do', (binary) => {
  const folder = newFolder();
  const env = { DD_APPSEC_RULES: '', DD_HAPROXY_SPOA_POLICY_FOLDER: folder };
  const proxy = shareProtectedProxy(binary, { daemon: { env } });
  const said = (file: string, what: string): Promise<string> =>
    proxy().daemon.log.waitFor(new RegExp(`"file":"${file}".*${what}`));
  let cases = 0;

  it.each(policyCases)('$what', async ({ files, checks }) => {
    const { httpPort } = proxy();
    expect(await answersTo(httpPort, checks)).toEqual(wanted(checks, 'without'));
    const number = cases++;
    const paths = files.map(({ content }, index) => put(folder, `case-${number}-${index}.json`, content));
    for (const path of paths) await said(path, 'policy file in effect');
    expect(await answersTo(httpPort, checks)).toEqual(wanted(checks, 'with'));
    for (const path of paths) unlinkSync(path);
    for (const path of paths) await said(path, 'policy file gone');
    expect(await answersTo(httpPort, checks)).toEqual(wanted(checks, 'without'));
  });
});

describeOneHaproxy('the policy folder', (binary) => {
  const folder = newFolder();
  const env = { DD_APPSEC_RULES: '', DD_HAPROXY_SPOA_POLICY_FOLDER: folder };
  const proxy = shareProtectedProxy(binary, { daemon: { env } });
  const statusOf = async (request: RequestParts): Promise<number> =>
    (await fetchOnce(proxy().httpPort, request)).status;
  const said = (file: string, what: string): Promise<string> =>
    proxy().daemon.log.waitFor(new RegExp(`"file":"${file}".*${what}`));

  it('a blocked address is free again when its time is over', async () => {
    const { content } = blockedIps(blockedAddress, Math.floor(Date.now() / 1000) + 4);
    const file = put(folder, 'expiry.json', content);
    await said(file, 'policy file in effect');
    expect(await statusOf(from(blockedAddress))).toBe(403);
    await vi.waitFor(async () => expect(await statusOf(from(blockedAddress))).toBe(200), 15_000);
    unlinkSync(file);
    await said(file, 'policy file gone');
  });

  it.each([
    ['broken JSON', 'broken.json', '{"rules_override": [', 'JSON'],
    ['what libddwaf refuses', 'refused.json', { rules_override: [{ rules_target: 'x' }] }, 'rules_override'],
  ])('%s is named with its file and leaves the last good content', async (_what, name, content, problem) => {
    const { content: good } = asm({ rules_override: [override('ua0-600-55x', { on_match: ['block'] })] });
    const file = put(folder, name, good);
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
    const folder = newFolder();
    put(folder, 'override.json', { rules_override: [override('ua0-600-55x', { on_match: [] })] });
    const env = { DD_APPSEC_RULES: '', DD_HAPROXY_SPOA_POLICY_FOLDER: folder, DD_APPSEC_PROTECT: 'all' };
    const proxy = shareProtectedProxy(binary, { daemon: { env } });

    it('is in effect for the first request, and outranks the level', async () => {
      expect((await fetchOnce(proxy().httpPort, reported)).status).toBe(200);
      const arachni = { headers: { 'user-agent': 'Arachni/v1' } };
      expect((await fetchOnce(proxy().httpPort, arachni)).status).toBe(403);
    });
  });

  describe('with DD_APPSEC_ENABLED', () => {
    const folder = newFolder();
    put(folder, 'off.json', switchFile(false).content);
    const env = { DD_APPSEC_RULES: '', DD_HAPROXY_SPOA_POLICY_FOLDER: folder, DD_APPSEC_ENABLED: 'true' };
    const proxy = shareProtectedProxy(binary, { daemon: { env } });

    it('does not switch inspection off', async () => {
      expect((await fetchOnce(proxy().httpPort, blocked)).status).toBe(403);
    });
  });
});
