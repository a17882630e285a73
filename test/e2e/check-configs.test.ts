// `appsec-edge check` and HAProxy itself on the same configurations: where HAProxy refuses or warns because of the
// agent's lines, check must have said so; where HAProxy has nothing to say, check must not claim that it has.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { checkRules } from '../../src/cli/check-run.ts';
import { CertificateFolder } from '../support/certificates.ts';
import {
  configEnvironment,
  configFiles,
  configNames,
  configVersions,
  expectedOf,
  type HaproxySays,
} from '../support/haproxy-configs.ts';
import { checkConfigFiles } from './support/haproxy.ts';
import { describeEachHaproxy } from './support/stubbed-proxy.ts';

/** Rules about what HAProxy says at its start; the others are about traffic. */
const aboutStart = checkRules.filter(({ why }) => /^HAProxy (does not start|warns|before)/.test(why));

describeEachHaproxy('configurations as operators have them', (binary) => {
  const certificates = new CertificateFolder();
  let env: Record<string, string> = {};
  beforeAll(() => {
    const authority = certificates.authority('clients');
    env = { CA: authority, CERTIFICATE: certificates.issue(authority, 'www').both };
  });
  afterAll(() => certificates.remove());

  const version = configVersions.find((known) => known === binary.branch);
  if (version === undefined) throw new Error(`no expectation is written down for HAProxy ${binary.branch}`);

  it.each(configNames)('are refused, warned about or taken as check says: %s', (name) => {
    const expected = expectedOf(name, version);
    const { ok, output } = checkConfigFiles({
      binary: binary.path,
      files: configFiles(name),
      env: { ...env, ...configEnvironment(name) },
    });
    expect(saysOf(ok, output), output).toBe(expected.haproxy);
    const found = expected.findings.map((finding) => finding.split(' '));
    const isStart = ([, , rule]: readonly string[]): boolean => aboutStart.some(({ id }) => id === rule);
    const severities = found.filter(([, severity]) => severity !== 'hint').map(([, severity]) => severity);
    if (expected.haproxy === 'quiet') expect(found.filter(isStart)).toEqual([]);
    else if (expected.haproxy === 'warns') expect(severities).not.toEqual([]);
    else expect(severities).toContain('error');
  });
});

/** HAProxy 2.6 calls an alert what is a warning later, and starts all the same. */
function saysOf(ok: boolean, output: string): HaproxySays {
  if (!ok && /Fatal errors found|Error\(s\) found/.test(output)) return 'refuses';
  return /\[(WARNING|ALERT)\]/.test(output) ? 'warns' : 'quiet';
}
