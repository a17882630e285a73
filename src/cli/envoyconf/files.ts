import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';

/*
 * The shipped Envoy files with an operator's names and addresses in the place of the defaults. Nothing is generated: the
 * files are those of envoyconf/, comments included, and only the lines below change.
 */

/** Of the shipped files, and the first line of each; envoyconf/CHANGELOG.md says what changed. */
export const envoyConfigurationVersion = '1.0.0';

/** What an operator may say; every set takes some of them. */
export interface EnvoyconfOptions {
  /** Where the processor listens, as `host:port` or `[v6]:port`. */
  readonly address?: string;
  /** The name that the processor's certificate must have. */
  readonly serverName?: string;
  /** The certificate of the processor's authority, in PEM. */
  readonly ca?: string;
  /** Of the processor, on Kubernetes. */
  readonly namespace?: string;
  /** Of what is written: the EnvoyFilter, the EnvoyExtensionPolicy. */
  readonly targetNamespace?: string;
  /** The label `app` of the pods whose sidecars inspect. */
  readonly app?: string;
  /** The Gateway whose routes are inspected. */
  readonly gateway?: string;
  /** `registry/name:tag` */
  readonly image?: string;
  readonly failClosed?: true;
}

export type EnvoyconfOption = keyof EnvoyconfOptions;

/** One set: its files as the package has them, and what becomes of a given option in them. */
export interface EnvoyconfSet {
  readonly about: string;
  readonly files: readonly string[];
  readonly edits: Readonly<
    Partial<Record<EnvoyconfOption, (value: string, all: EnvoyconfOptions) => Edit[]>>
  >;
}

/** A line to find in the files of the set, and what stands in its place. */
interface Edit {
  readonly pattern: RegExp;
  readonly by: string;
}

const host = (namespace: string): string => `appsec-edge.${namespace}.svc.cluster.local`;

/** `false` with its comment, which says what it means. */
const failClosed = (): Edit[] => [
  { pattern: /^( *)(failure_mode_allow|failOpen): true$/m, by: '$1$2: false' },
];

const serverName = (name: string): Edit[] => [
  { pattern: /^( *sni:) .*$/m, by: `$1 ${inserted(name)}` },
  { pattern: /^( *matcher: \{ exact:) \S+ \}$/m, by: `$1 ${inserted(name)} }` },
];

const address = (value: string): Edit[] => {
  const [, name = '', port = ''] = /^(.*):(\d+)$/.exec(value) ?? [];
  const bare = name.replace(/^\[(.*)\]$/, '$1');
  const text = bare.includes(':') ? `"${bare}"` : bare;
  return [
    {
      pattern: /socket_address: \{ address: \S+, port_value: 8443 \}/,
      by: `socket_address: { address: ${inserted(text)}, port_value: ${port} }`,
    },
  ];
};

const authority = (pem: string): Edit[] => [
  {
    pattern: /^( *)trusted_ca: \{ filename: \S+ \}$/m,
    by: `$1trusted_ca:\n$1  inline_string: |\n${inserted(pem.trim()).replace(/^/gm, '$1    ')}`,
  },
];

/** The name of a Kubernetes object, or of a label's value. */
const field = (path: RegExp): ((value: string) => Edit[]) => {
  return (value) => [{ pattern: path, by: `$1 ${inserted(value)}` }];
};

const tlsToAddress = { serverName, address, ca: authority, failClosed };

/** Another namespace of the processor changes its name in DNS, unless the operator says where it is. */
const namespaceInNames = (value: string, { address: given, serverName: name }: EnvoyconfOptions): Edit[] => [
  ...(given === undefined ? address(`${host(value)}:8443`) : []),
  ...(given === undefined && name === undefined ? serverName(host(value)) : []),
];

const istio = {
  ...tlsToAddress,
  address: (value: string, { serverName: name }: EnvoyconfOptions): Edit[] => {
    const given = value.replace(/:\d+$/, '');
    const isName = name === undefined && isIP(given.replace(/^\[(.*)\]$/, '$1')) === 0;
    return [...address(value), ...(isName ? serverName(given) : [])];
  },
  namespace: namespaceInNames,
  targetNamespace: field(/^( {2}namespace:) \S+$/m),
};

export const envoyconfSets = {
  envoy: {
    about: 'plain Envoy, a whole static configuration',
    files: ['envoy.yaml'],
    edits: tlsToAddress,
  },
  'istio-gateway': {
    about: "Istio's ingress gateways, as an EnvoyFilter",
    files: ['envoyfilter.yaml'],
    edits: istio,
  },
  'istio-sidecar': {
    about: "Istio's sidecars, as an EnvoyFilter",
    files: ['envoyfilter.yaml'],
    edits: { ...istio, app: field(/^( {6}app:) \S+$/m) },
  },
  'envoy-gateway': {
    about: 'Envoy Gateway, as an EnvoyExtensionPolicy and what belongs to it',
    files: ['envoy-gateway.yaml'],
    edits: {
      failClosed,
      serverName: field(/^( {4}hostname:) \S+$/m),
      gateway: field(/^( {6}name:) eg$/gm),
      targetNamespace: field(/^( *namespace:) default$/gm),
      namespace: (value: string, { serverName: name }: EnvoyconfOptions): Edit[] => [
        { pattern: /^( *namespace:) appsec-edge$/gm, by: `$1 ${inserted(value)}` },
        ...(name === undefined
          ? [{ pattern: /^( {4}hostname:) \S+$/m, by: `$1 ${inserted(host(value))}` }]
          : []),
      ],
    },
  },
  gcp: {
    about: "Google Cloud's Application Load Balancers, as an LbTrafficExtension",
    files: ['lb-traffic-extension.yaml'],
    edits: { failClosed },
  },
  kubernetes: {
    about: 'the processor itself on Kubernetes: Deployment, Service and what belongs to them',
    files: [
      'kustomization.yaml',
      'namespace.yaml',
      'deployment.yaml',
      'service.yaml',
      'pod-disruption-budget.yaml',
      'horizontal-pod-autoscaler.yaml',
      'network-policy.yaml',
      'certificate.yaml',
    ],
    edits: {
      namespace: (value: string): Edit[] => [
        { pattern: /^(namespace:) appsec-edge$/m, by: `$1 ${inserted(value)}` },
        { pattern: /^(kind: Namespace\nmetadata:\n {2}name:) appsec-edge$/m, by: `$1 ${inserted(value)}` },
        {
          pattern: /\bappsec-edge\.appsec-edge\.svc\.cluster\.local\b/g,
          by: inserted(host(value)),
        },
      ],
      image: (value: string): Edit[] => {
        const [, name = '', tag = ''] = /^(.*):([\w.-]+)$/.exec(value) ?? [];
        return [
          { pattern: /^( {4}newName:) \S+$/m, by: `$1 ${inserted(name)}` },
          { pattern: /^( {4}newTag:) \S+$/m, by: `$1 "${inserted(tag)}"` },
        ];
      },
    },
  },
} as const satisfies Record<string, EnvoyconfSet>;

export type EnvoyconfName = keyof typeof envoyconfSets;

export const envoyconfNames = Object.keys(envoyconfSets) as EnvoyconfName[];

export function isEnvoyconfName(name: string): name is EnvoyconfName {
  return Object.hasOwn(envoyconfSets, name);
}

/** The text of a shipped file, from the package: envoyconf/ stands beside src/ and dist/. */
export function readEnvoyconfFile(set: EnvoyconfName, file: string): string {
  return readFileSync(new URL(`../../../envoyconf/${set}/${file}`, import.meta.url), 'utf8');
}

/** The options that mean something in this set. */
export function optionsOf(name: EnvoyconfName): EnvoyconfOption[] {
  return Object.keys(envoyconfSets[name].edits) as EnvoyconfOption[];
}

/**
 * The texts to write by file name.
 * @param options what the operator said; none that the set does not take
 * @throws Error when a shipped file no longer has the line that an option belongs to: a defect of the package.
 */
export function renderEnvoyconf(name: EnvoyconfName, options: EnvoyconfOptions): Map<string, string> {
  const set: EnvoyconfSet = envoyconfSets[name];
  const texts = new Map(set.files.map((file) => [file, readEnvoyconfFile(name, file)]));
  for (const option of optionsOf(name)) {
    const value = options[option];
    if (value === undefined) continue;
    for (const { pattern, by } of set.edits[option]?.(String(value), options) ?? []) {
      let found = false;
      for (const [file, text] of texts) {
        const edited = text.replace(pattern, by);
        found ||= edited !== text || new RegExp(pattern, pattern.flags.replace('g', '')).test(text);
        texts.set(file, edited);
      }
      if (!found) throw new Error(`the shipped files of ${name} have no line ${pattern} to replace`);
    }
  }
  return texts;
}

/** `$` has a meaning in a replacement. */
function inserted(text: string): string {
  return text.replaceAll('$', '$$$$');
}
