// Holds Kubernetes manifests to the types of their kinds, by the TypeScript compiler: unknown fields, missing ones, wrong
// types and values outside an enumeration are errors, as the API server says with `--validate=strict`.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { EnvoyMessage } from '../e2e/support/envoy.ts';

const repository = join(import.meta.dirname, '..', '..');
const ownTypes = join(import.meta.dirname, 'manifest-types.ts');
const own = ['EnvoyExtensionPolicy', 'ClientTrafficPolicy', 'LbTrafficExtension', 'Kustomization'];

/** Where the type of a kind comes from, by its apiVersion. */
function typeOf({ apiVersion, kind }: EnvoyMessage): { readonly from: string; readonly name: string } {
  // Google's has no kind.
  const name = String(kind ?? 'LbTrafficExtension');
  if (own.includes(name)) return { from: ownTypes, name };
  const version = String(apiVersion);
  const packages: Readonly<Record<string, string>> = {
    'networking.istio.io': '@kubernetes-models/istio',
    'gateway.networking.k8s.io': '@kubernetes-models/gateway-api',
    'cert-manager.io': '@kubernetes-models/cert-manager',
  };
  const group = version.split('/')[0] ?? '';
  return { from: `${packages[group] ?? 'kubernetes-models'}/${version}`, name: `I${name}` };
}

/**
 * @param folder of tools/kubernetes-types.ts
 * @returns what is wrong with them, empty when nothing is
 */
export function checkManifests(folder: string, manifests: readonly EnvoyMessage[]): string {
  const work = mkdtempSync(join(folder, 'check-'));
  try {
    const lines = manifests.flatMap((manifest, index) => {
      const { from, name } = typeOf(manifest);
      const place = from.startsWith('/') ? from : `${from}/${name.slice(1)}`;
      return [
        `import type { ${name} as Type${index} } from '${place}';`,
        `export const manifest${index}: Type${index} = ${JSON.stringify(manifest)};`,
      ];
    });
    const file = join(work, 'manifests.ts');
    writeFileSync(file, lines.join('\n'));
    const how = [
      '--ignoreConfig',
      '--noEmit',
      '--strict',
      '--skipLibCheck',
      '--allowImportingTsExtensions',
      '--types',
      '',
    ];
    const resolution = ['--module', 'nodenext', '--moduleResolution', 'nodenext', '--target', 'es2024'];
    const tsc = join(repository, 'node_modules', '.bin', 'tsc');
    const { stdout, stderr } = spawnSync(tsc, [...how, ...resolution, file], { cwd: work, encoding: 'utf8' });
    return `${stdout}${stderr}`.trim();
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
