import { describe, expect, it } from 'vitest';
import {
  type EnvoyconfName,
  type EnvoyconfOptions,
  envoyconfNames,
  envoyconfSets,
  readEnvoyconfFile,
  renderEnvoyconf,
} from '../../../src/cli/envoyconf/files.ts';

const pem = '-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n';

function changedLines(name: EnvoyconfName, options: EnvoyconfOptions): string[] {
  const texts = renderEnvoyconf(name, options);
  return envoyconfSets[name].files.flatMap((file) => {
    const shipped = new Set(readEnvoyconfFile(name, file).split('\n'));
    const lines = (texts.get(file) ?? '').split('\n');
    return lines.filter((line) => !shipped.has(line)).map((line) => line.trim());
  });
}

describe('envoyconf', () => {
  it.each(envoyconfNames)(
    'writes the shipped files of %s as they are when asked for nothing else',
    (name) => {
      expect(changedLines(name, {})).toEqual([]);
    },
  );

  it('puts address, certificate and name into the plain configuration', () => {
    expect(changedLines('envoy', { address: '10.0.0.5:9000', serverName: 'waf.example', ca: pem })).toEqual([
      'sni: waf.example',
      'trusted_ca:',
      'inline_string: |',
      '-----BEGIN CERTIFICATE-----',
      'QUJD',
      '-----END CERTIFICATE-----',
      'matcher: { exact: waf.example }',
      'socket_address: { address: 10.0.0.5, port_value: 9000 }',
    ]);
  });

  it('quotes an IPv6 address', () => {
    expect(changedLines('envoy', { address: '[2001:db8::1]:443' })).toEqual([
      'socket_address: { address: "2001:db8::1", port_value: 443 }',
    ]);
  });

  it.each(['envoy', 'istio-gateway', 'istio-sidecar', 'envoy-gateway', 'gcp'] as const)(
    'changes one line of %s to fail closed',
    (name) => {
      const [line, ...more] = changedLines(name, { failClosed: true });
      expect(line).toMatch(/^(failure_mode_allow|failOpen): false$/);
      expect(more).toEqual([]);
    },
  );

  it('takes the name of the certificate from the address, when that is a name', () => {
    expect(changedLines('istio-gateway', { address: 'waf.example:443' })).toEqual([
      'sni: waf.example',
      'matcher: { exact: waf.example }',
      'socket_address: { address: waf.example, port_value: 443 }',
    ]);
    expect(changedLines('istio-gateway', { address: '10.0.0.5:443' })).toEqual([
      'socket_address: { address: 10.0.0.5, port_value: 443 }',
    ]);
  });

  it('says where the processor is when it is told its namespace', () => {
    const host = 'appsec-edge.waf.svc.cluster.local';
    expect(changedLines('istio-sidecar', { namespace: 'waf', targetNamespace: 'shop', app: 'cart' })).toEqual(
      [
        'namespace: shop',
        'app: cart',
        `sni: ${host}`,
        `matcher: { exact: ${host} }`,
        `socket_address: { address: ${host}, port_value: 8443 }`,
      ],
    );
    expect(changedLines('envoy-gateway', { namespace: 'waf' })).toEqual([
      ...['namespace: waf', 'namespace: waf', `hostname: ${host}`, 'namespace: waf'],
    ]);
    expect(changedLines('kubernetes', { namespace: 'waf' }).filter((line) => !line.startsWith('#'))).toEqual([
      ...['namespace: waf', 'name: waf', `dnsNames: [${host}]`],
    ]);
  });

  it('names the Gateway in every policy', () => {
    expect(changedLines('envoy-gateway', { gateway: 'edge', targetNamespace: 'infra' })).toEqual([
      ...['namespace: infra', 'name: edge', 'namespace: infra', 'name: edge', 'namespace: infra'],
    ]);
  });

  it('names the image of the processor', () => {
    expect(changedLines('kubernetes', { image: 'registry.example:5000/waf/edge:2.0.0' })).toEqual([
      'newName: registry.example:5000/waf/edge',
      'newTag: "2.0.0"',
    ]);
  });

  it('keeps what has a meaning in a replacement', () => {
    expect(changedLines('envoy', { ca: '$1 $& $$' })).toContain('$1 $& $$');
  });
});
