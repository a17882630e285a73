// What the shipped Envoy files must agree on, with each other and with the package. How they behave is tested on real
// Envoy in test/e2e.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { envoyConfigurationVersion, envoyconfNames, envoyconfSets } from '../src/cli/envoyconf/files.ts';
import { inside, patchValues, plainParts, yamlDocuments } from './support/envoy-files.ts';

const repository = join(import.meta.dirname, '..');
const read = (path: string): string => readFileSync(join(repository, path), 'utf8');
const paths = envoyconfNames.flatMap((name) =>
  envoyconfSets[name].files.map((file) => `envoyconf/${name}/${file}`),
);
const istio = ['envoyconf/istio-gateway/envoyfilter.yaml', 'envoyconf/istio-sidecar/envoyfilter.yaml'];

describe('the version of the Envoy files', () => {
  it.each(paths)('stands in the first line of %s', (path) => {
    const [first = ''] = read(path).split('\n');
    expect(first).toContain(`appsec-edge Envoy configuration ${envoyConfigurationVersion}`);
  });

  it('heads their changelog', () => {
    const [latest] = read('envoyconf/CHANGELOG.md').match(/^## .*/m) ?? [];
    expect(latest).toBe(`## ${envoyConfigurationVersion}`);
  });
});

describe('the shipped Envoy files', () => {
  it('are all written by a set of envoyconf', () => {
    const shipped = readdirSync(join(repository, 'envoyconf'), { recursive: true, encoding: 'utf8' });
    expect(
      shipped
        .filter((name) => name.endsWith('.yaml'))
        .map((name) => `envoyconf/${name}`)
        .sort(),
    ).toEqual(paths.toSorted());
  });

  it.each(istio)('have one filter, but for the name of the component: %s', (path) => {
    const [filter] = patchValues(path, 'HTTP_FILTER');
    const text = JSON.stringify(filter).replace('x-datadog-istio-', 'x-datadog-envoy-');
    expect(JSON.parse(text)).toEqual(plainParts().filter);
  });

  it.each(istio)('have one cluster, but for the name of the host: %s', (path) => {
    const [cluster] = patchValues(path, 'CLUSTER');
    const text = JSON.stringify(cluster).replaceAll(
      'appsec-edge.appsec-edge.svc.cluster.local',
      'appsec-edge',
    );
    const plain = JSON.stringify(plainParts().cluster).replace('"127.0.0.1"', '"appsec-edge"');
    expect(JSON.parse(text)).toEqual(JSON.parse(plain));
  });

  it.each(istio)('have one buffer limit: %s', (path) => {
    const [listener] = patchValues(path, 'LISTENER');
    const name = 'per_connection_buffer_limit_bytes';
    expect(listener?.[name]).toBe(plainParts().listener[name]);
  });

  it('inspect no more of a body than Envoy holds', () => {
    const [deployment] = yamlDocuments('envoyconf/kubernetes/deployment.yaml');
    const env = inside(deployment, 'spec', 'template', 'spec', 'containers', 0, 'env') as { name: string }[];
    const limit = env.find(({ name }) => name === 'DD_APPSEC_BODY_PARSING_SIZE_LIMIT');
    expect(Number(inside(limit, 'value'))).toBeLessThanOrEqual(
      Number(plainParts().listener['per_connection_buffer_limit_bytes']),
    );
  });

  it('name every file of the processor in kustomization.yaml, the certificate as a comment', () => {
    const text = read('envoyconf/kubernetes/kustomization.yaml');
    const named = [...text.matchAll(/^ {2}(?:# )?- (\S+\.yaml)$/gm)].map(([, name]) => name ?? '');
    const others = envoyconfSets.kubernetes.files.filter((name) => name !== 'kustomization.yaml');
    expect(named.sort()).toEqual([...others].sort());
    expect(text).toContain('  # - certificate.yaml\n');
  });

  it('take the image of this version', () => {
    const { version } = JSON.parse(read('package.json')) as { version: string };
    expect(read('envoyconf/kubernetes/kustomization.yaml')).toContain(`newTag: ${version}\n`);
  });

  it('give the processor longer to end than it takes', () => {
    const [deployment] = yamlDocuments('envoyconf/kubernetes/deployment.yaml');
    const shutdownTimeoutS = 25;
    expect(inside(deployment, 'spec', 'template', 'spec', 'terminationGracePeriodSeconds')).toBeGreaterThan(
      shutdownTimeoutS,
    );
  });
});
