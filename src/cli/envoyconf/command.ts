import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { ConfigError, StartError } from '../../config/errors.ts';
import {
  type EnvoyconfName,
  type EnvoyconfOption,
  type EnvoyconfOptions,
  envoyconfNames,
  envoyconfSets,
  isEnvoyconfName,
  optionsOf,
  renderEnvoyconf,
} from './files.ts';
import { nextSteps } from './next-steps.ts';

interface EnvoyconfFlags extends EnvoyconfOptions {
  readonly force?: boolean;
}

/** The flag of each option, what it must look like, and how that is said. */
const flags: Readonly<
  Record<EnvoyconfOption, { readonly flag: string; readonly allowed: RegExp; readonly must: string }>
> = {
  address: {
    flag: '--address',
    allowed: /^(?:\[[\da-fA-F:.]+\]|[\w.-]+):[1-9]\d{0,4}$/,
    must: 'host:port or [v6]:port, with a port from 1 to 65535',
  },
  serverName: { flag: '--server-name', allowed: /^[\w.-]+$/, must: 'a DNS name' },
  ca: {
    flag: '--ca',
    allowed: /-----BEGIN CERTIFICATE-----[\s\S]*-----END/,
    must: 'a file with a PEM certificate',
  },
  namespace: { flag: '--namespace', allowed: kubernetesName(), must: 'a name as Kubernetes allows it' },
  targetNamespace: {
    flag: '--target-namespace',
    allowed: kubernetesName(),
    must: 'a name as Kubernetes allows it',
  },
  app: { flag: '--app', allowed: /^[A-Za-z\d](?:[\w.-]*[A-Za-z\d])?$/, must: 'the value of a label' },
  gateway: { flag: '--gateway', allowed: kubernetesName(), must: 'a name as Kubernetes allows it' },
  image: {
    flag: '--image',
    allowed: /^[\w.-]+(?::\d+)?(?:\/[\w./-]+)?:[\w][\w.-]{0,127}$/,
    must: 'an image with its tag, as registry.example/appsec-edge:1.2.3',
  },
  failClosed: { flag: '--fail-closed', allowed: /^true$/, must: 'without a value' },
};

export function addEnvoyconfCommand(program: Command): void {
  program
    .command('envoyconf')
    .description("Write Envoy's side to a folder: one set of files, with your names and addresses in them.")
    .argument('<name>', `what for: ${envoyconfNames.join(', ')}`)
    .argument('<folder>', 'created when it is missing')
    .option('--address <address>', `where the processor listens ${forSets('address')}`)
    .option('--server-name <name>', `the name in the processor's certificate ${forSets('serverName')}`)
    .option('--ca <file>', `its authority's certificate, to be put into the file itself ${forSets('ca')}`)
    .option('--namespace <name>', `namespace of the processor ${forSets('namespace')}`)
    .option('--target-namespace <name>', `namespace of what is written ${forSets('targetNamespace')}`)
    .option('--app <label>', `label 'app' of the pods to protect ${forSets('app')}`)
    .option('--gateway <name>', `name of the Gateway ${forSets('gateway')}`)
    .option('--image <image>', `registry/name:tag of the processor ${forSets('image')}`)
    .option('--fail-closed', `refuse what cannot be inspected ${forSets('failClosed')}`)
    .option('--force', 'overwrite files')
    .addHelpText(
      'after',
      `
${envoyconfNames.map((name) => `  ${name.padEnd(15)}${envoyconfSets[name].about}`).join('\n')}

Examples:
  appsec-edge envoyconf envoy ./out --address 10.0.0.5:8443 --ca ca.crt
  appsec-edge envoyconf kubernetes ./processor --image registry.example/appsec-edge:0.1.0
  appsec-edge envoyconf istio-sidecar ./out --app shop --target-namespace shop --ca ca.crt
`,
    )
    .action((name: string, folder: string, given: EnvoyconfFlags) => {
      if (!isEnvoyconfName(name)) {
        throw new ConfigError(`unknown set '${name}'; it must be one of ${envoyconfNames.join(', ')}`);
      }
      const options = optionsFrom(name, given);
      const files = writeEnvoyconf(name, folder, options, given.force ?? false);
      const wrote = files.map((file) => `wrote ${join(folder, file)}`).join('\n');
      process.stdout.write(`${wrote}\n\n${nextSteps(name, folder)}`);
    });
}

function forSets(option: EnvoyconfOption): string {
  return `(${envoyconfNames.filter((name) => optionsOf(name).includes(option)).join(', ')})`;
}

/** @throws ConfigError for an option that the set does not take, and for a value that is not allowed. */
function optionsFrom(name: EnvoyconfName, given: EnvoyconfFlags): EnvoyconfOptions {
  for (const [key, { flag, allowed, must }] of Object.entries(flags)) {
    const option = key as EnvoyconfOption;
    const value = given[option];
    if (value === undefined) continue;
    if (!optionsOf(name).includes(option)) throw new ConfigError(`${flag} changes nothing in ${name}`);
    const text = option === 'ca' ? readAuthority(String(value)) : String(value);
    const port = option === 'address' ? Number(/\d+$/.exec(text)?.[0]) : 1;
    if (!allowed.test(text) || port > 65_535) {
      throw new ConfigError(`${flag}: '${value}' is not allowed; it must be ${must}`);
    }
  }
  return given.ca === undefined ? given : { ...given, ca: readAuthority(given.ca) };
}

function readAuthority(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new ConfigError(`--ca: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
}

/**
 * @returns the names of what it wrote
 * @throws ConfigError for a file that exists, unless `force`; StartError when a file cannot be written.
 */
function writeEnvoyconf(
  name: EnvoyconfName,
  folder: string,
  options: EnvoyconfOptions,
  force: boolean,
): readonly string[] {
  const { files } = envoyconfSets[name];
  const existing = files.filter((file) => existsSync(join(folder, file)));
  if (existing.length > 0 && !force) {
    throw new ConfigError(`${folder} already has ${existing.join(', ')}; --force overwrites them`);
  }
  const texts = renderEnvoyconf(name, options);
  try {
    mkdirSync(folder, { recursive: true });
    for (const [file, text] of texts) writeFileSync(join(folder, file), text);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new StartError(`cannot write to ${folder}: ${reason}`, { cause });
  }
  return files;
}

/** RFC 1123: a label in small letters. */
function kubernetesName(): RegExp {
  return /^[a-z\d](?:[a-z\d-]{0,61}[a-z\d])?$/;
}
