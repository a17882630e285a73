// `appsec-edge check` and Envoy itself on the same configurations: where Envoy refuses or warns because of the processor's
// lines, check must have said so; where Envoy has nothing to say, check must not claim that it has.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { envoyRules } from '../../src/cli/check/envoy/run.ts';
import { CertificateFolder } from '../support/certificates.ts';
import { envoyConfigFiles, envoyConfigNames, expectedOfEnvoy } from '../support/envoy-configs.ts';
import { describeEachEnvoy, validateConfig } from './support/envoy.ts';

/** Rules about what Envoy says at its start; the others are about traffic. */
const aboutStart = envoyRules
  .filter(({ why }) => /^Envoy (does not start|warns)/.test(why))
  .map(({ id }) => id);
const loadable = envoyConfigNames.filter((name) => expectedOfEnvoy(name).envoy !== 'unasked');

describeEachEnvoy('configurations as operators have them', (binary) => {
  const certificates = new CertificateFolder();
  let authority = '';
  beforeAll(() => {
    authority = certificates.authority('processors');
  });
  afterAll(() => certificates.remove());

  it.each(loadable)('are refused, warned about or taken as check says: %s', (name) => {
    const { envoy, findings } = expectedOfEnvoy(name);
    const [file] = envoyConfigFiles(name);
    const text = (file?.text ?? '').replaceAll('/etc/appsec-edge/ca.crt', authority);
    const { ok, output } = validateConfig(binary.path, text);
    const says = ok ? 'quiet' : /^configuration .* OK$/m.test(output) ? 'warns' : 'refuses';
    expect(says, output).toBe(envoy);
    const found = findings.filter((finding) => aboutStart.includes(finding.split(' ')[2] ?? ''));
    if (envoy === 'quiet') expect(found).toEqual([]);
    else expect(found).not.toEqual([]);
  });
});
