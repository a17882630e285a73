// Types of Kubernetes' own resources and of Istio's, the Gateway API's and cert-manager's, generated from their schemas by
// the project kubernetes-models, for tests of manifests. They come from npm into .cache/kubernetes-types.
import { join } from 'node:path';
import { fetchPackages } from './npm-packages.ts';

const packages = [
  'kubernetes-models@5.1.0',
  '@kubernetes-models/istio@3.0.1',
  '@kubernetes-models/gateway-api@2.0.0',
  '@kubernetes-models/cert-manager@6.0.0',
];

/** A folder whose `node_modules` has them, or the sentence that a skipped test shows. */
export async function kubernetesTypes(): Promise<{ readonly folder: string } | { readonly reason: string }> {
  const folder = join(import.meta.dirname, '..', '.cache', 'kubernetes-types');
  const failure = await fetchPackages(folder, packages);
  return failure === undefined ? { folder } : { reason: `the types of Kubernetes' resources ${failure}` };
}
