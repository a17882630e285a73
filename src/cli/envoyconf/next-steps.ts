import { join } from 'node:path';
import { type EnvoyconfName, envoyconfSets } from './files.ts';

/** What an operator does with the files just written: numbered steps, ending in an attack that is refused. */
export function nextSteps(name: EnvoyconfName, folder: string): string {
  const [first = ''] = envoyconfSets[name].files;
  const steps = stepsOf[name](join(folder, first), folder);
  const numbered = steps.map((step, index) => `  ${index + 1}. ${step.replaceAll('\n', '\n     ')}`);
  return `What to do next (docs/envoy.md has more):\n${numbered.join('\n')}\n`;
}

const attack = `send an attack: curl -H 'User-Agent: dd-test-scanner-log-block' http://your-site/
answers 403, and the processor logs one line with the rule`;
const check = (file: string): string => `see what appsec-edge says of it: appsec-edge check ${file}`;
const processorFirst = `run the processor on Kubernetes: appsec-edge envoyconf kubernetes FOLDER writes its files`;

const stepsOf: Record<EnvoyconfName, (file: string, folder: string) => readonly string[]> = {
  envoy: (file) => [
    `start the processor: DD_SERVICE_EXTENSION_PORT=8443 DD_SERVICE_EXTENSION_HEALTHCHECK_PORT=8081 appsec-edge ext-proc
with a certificate: DD_SERVICE_EXTENSION_TLS_CERT_FILE, DD_SERVICE_EXTENSION_TLS_KEY_FILE`,
    `put your listeners, routes and clusters into ${file}, or its filter and its cluster into your own file`,
    `${check(file)}
and what Envoy says: envoy --mode validate -c ${file}`,
    'start Envoy with it',
    attack,
  ],
  'istio-gateway': (file) => [
    processorFirst,
    `look at namespace and selector in ${file}`,
    check(file),
    `kubectl apply -f ${file}`,
    attack,
  ],
  'istio-sidecar': (file) => [
    processorFirst,
    `look at namespace and label in ${file}`,
    check(file),
    `kubectl apply -f ${file}`,
    attack,
  ],
  'envoy-gateway': (file) => [
    processorFirst,
    `give its authority to Envoy Gateway: kubectl create configmap appsec-edge-ca --from-file=ca.crt
in the namespace of the processor`,
    check(file),
    `kubectl apply -f ${file}`,
    attack,
  ],
  gcp: (file) => [
    'run the processor behind a backend service that speaks HTTP2',
    `replace PROJECT, LOCATION, FORWARDING_RULE and BACKEND_SERVICE in ${file}`,
    `gcloud service-extensions lb-traffic-extensions import appsec-edge --location=LOCATION --source=${file}`,
    attack,
  ],
  kubernetes: (file, folder) => [
    'push the image to a registry that the cluster reaches, and name it with --image',
    `make the Secret appsec-edge-tls (tls.crt, tls.key), or take certificate.yaml into ${file} where cert-manager runs`,
    `name the namespaces of your Envoys in ${join(folder, 'network-policy.yaml')}`,
    `kubectl apply --kustomize ${folder}`,
    'write what Envoy needs: appsec-edge envoyconf istio-gateway, istio-sidecar, envoy-gateway or envoy',
  ],
};
