// The shipped Envoy files, and Datadog's, as Envoy itself and the schemas of Kubernetes see them. What becomes of requests
// with them is envoyconf-traffic.test.ts.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { kubernetesTypes } from '../../tools/kubernetes-types.ts';
import { CertificateFolder } from '../support/certificates.ts';
import { checkManifests } from '../support/check-manifests.ts';
import { envoyFilters, patchValues, yamlDocuments } from '../support/envoy-files.ts';
import { describeEachEnvoy, type EnvoyMessage, validateConfig } from './support/envoy.ts';
import { configWith } from './support/envoy-config.ts';

const ports = { httpPort: 10_000, adminPort: 10_001, originPort: 10_002 };
const shippedAuthority = '/etc/appsec-edge/ca.crt';

describeEachEnvoy('the configuration that is shipped', (binary) => {
  const certificates = new CertificateFolder();
  let authority = '';
  beforeAll(() => {
    authority = certificates.authority('processors');
  });
  afterAll(() => certificates.remove());
  const withAuthority = (value: EnvoyMessage): EnvoyMessage =>
    JSON.parse(JSON.stringify(value).replaceAll(shippedAuthority, authority)) as EnvoyMessage;

  it('is taken without a warning', () => {
    const [config = {}] = yamlDocuments('envoyconf/envoy/envoy.yaml');
    expect(validateConfig(binary.path, withAuthority(config))).toMatchObject({ ok: true });
  });

  it.each(['our gateway', 'our sidecar'] as const)('is taken as the EnvoyFilter of %s has it', (name) => {
    const [filter = {}] = patchValues(envoyFilters[name], 'HTTP_FILTER');
    const [cluster = {}] = patchValues(envoyFilters[name], 'CLUSTER');
    const [listener = {}] = patchValues(envoyFilters[name], 'LISTENER');
    const config = configWith({ ...ports, listener }, filter, withAuthority(cluster));
    expect(validateConfig(binary.path, config)).toMatchObject({ ok: true });
  });

  it.each(["Datadog's gateway", "Datadog's sidecar"] as const)(
    'is taken as %s has it, with the one warning that is known',
    (name) => {
      const [filter = {}] = patchValues(envoyFilters[name], 'HTTP_FILTER');
      const [cluster = {}] = patchValues(envoyFilters[name], 'CLUSTER');
      // The name is a placeholder that an operator replaces.
      const named = JSON.stringify(cluster).replace('<your-preferred-namespace>', 'waf');
      const { output } = validateConfig(
        binary.path,
        configWith(ports, filter, JSON.parse(named) as EnvoyMessage),
      );
      expect(output).toContain('OK');
      const complaints = output.split('\n').filter((line) => /\[(warning|error|critical)\]/.test(line));
      expect(complaints).toEqual([expect.stringContaining('Cluster.http2_protocol_options')]);
    },
  );

  it('is refused with a typo in it', () => {
    const [filter = {}] = patchValues(envoyFilters['our gateway'], 'HTTP_FILTER');
    const [cluster = {}] = patchValues(envoyFilters['our gateway'], 'CLUSTER');
    const wrong = JSON.stringify(filter).replace('message_timeout', 'message_timeot');
    const config = configWith(ports, JSON.parse(wrong) as EnvoyMessage, withAuthority(cluster));
    const check = validateConfig(binary.path, config);
    expect(check).toMatchObject({ ok: false, output: expect.stringContaining('message_timeot') });
  });
});

const types = await kubernetesTypes();

describe('the manifests that are shipped', () => {
  const kubernetes = [
    ...['kustomization', 'namespace', 'deployment', 'service', 'pod-disruption-budget'],
    ...['horizontal-pod-autoscaler', 'network-policy', 'certificate'],
  ];
  const paths = [
    ...kubernetes.map((name) => `envoyconf/kubernetes/${name}.yaml`),
    ...['istio-gateway/envoyfilter', 'istio-sidecar/envoyfilter', 'envoy-gateway/envoy-gateway'].map(
      (name) => `envoyconf/${name}.yaml`,
    ),
    'envoyconf/gcp/lb-traffic-extension.yaml',
  ];

  it('have only what the schemas of their kinds allow', (context) => {
    if ('reason' in types) return context.skip(types.reason);
    const manifests = paths.flatMap(yamlDocuments);
    expect(manifests.length).toBeGreaterThan(paths.length);
    expect(checkManifests(types.folder, manifests)).toBe('');
  });

  it.for([
    ['envoyconf/kubernetes/deployment.yaml', '"readinessProbe"', '"readinesProbe"'],
    ['envoyconf/kubernetes/horizontal-pod-autoscaler.yaml', '"averageUtilization"', '"averageUse"'],
    ['envoyconf/istio-gateway/envoyfilter.yaml', '"INSERT_FIRST"', '"FIRST"'],
    ['envoyconf/envoy-gateway/envoy-gateway.yaml', '"failOpen"', '"failureModeAllow"'],
    ['envoyconf/gcp/lb-traffic-extension.yaml', '"timeout"', '"messageTimeout"'],
  ] as const)('would be refused with a mistake in them: %s', ([path, right, wrong], context) => {
    if ('reason' in types) return context.skip(types.reason);
    const text = JSON.stringify(yamlDocuments(path)[0]);
    expect(text).toContain(right);
    const changed = JSON.parse(text.replace(right, wrong)) as EnvoyMessage;
    expect(checkManifests(types.folder, [changed])).toContain(wrong.replaceAll('"', ''));
  });
});
