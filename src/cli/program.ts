import { Command, type CommanderError, type Help } from 'commander';
import { ConfigError } from '../config/errors.ts';
import { packageVersion } from '../config/package-info.ts';
import { type Config, settingNames, settings } from '../daemon/settings.ts';
import { type DoorName, doorNames, doors } from '../doors.ts';
import { addCheckCommand } from './check/command.ts';
import { addEnvoyconfCommand } from './envoyconf/command.ts';
import { addHaproxyconfCommand } from './haproxyconf/command.ts';
import { addHealthcheckCommand } from './healthcheck.ts';
import { addInspectCommand } from './inspect/command.ts';
import { addPolicyCommand } from './policy/command.ts';
import { configOfDoors, settingNamesOf, settingOption, withSettings } from './setting-flags.ts';

/** An invalid command line; the same code as for an invalid value (command-line.ts). */
const exitUsage = 2;

const examples = `Examples:
  appsec-edge --port 3000 --body-limit 10000000
  appsec-edge run --doors haproxy,ext-proc
  appsec-edge ext-proc --ext-proc-port 8443 --body-limit 10000000
  appsec-edge mirror --mirror-listen :8080 --mirror-sender nginx
  appsec-edge inspect 'http://shop.example/?q=<script>alert(1)</script>'
  appsec-edge haproxyconf /etc/haproxy/appsec-edge --server 127.0.0.1:3000
  appsec-edge envoyconf istio-gateway ./istio --ca ca.crt
  appsec-edge check /etc/haproxy/haproxy.cfg
  appsec-edge policy check /etc/appsec-edge/policy
  appsec-edge healthcheck --healthcheck-port 3080
`;

/** The command line. `appsec-edge` alone opens HAProxy's door. */
export function createProgram(): Command {
  const program: Command = new Command('appsec-edge');
  program
    .description(
      'A web application firewall. HAProxy sends it requests and responses over SPOE and acts on its verdicts.',
    )
    .version(packageVersion)
    .showHelpAfterError("('appsec-edge --help' lists commands and settings)")
    .configureOutput({
      outputError: (text, write) => write(text.replace(/^error: /, 'appsec-edge: ')),
    })
    .exitOverride((error: CommanderError) => process.exit(error.exitCode === 0 ? 0 : exitUsage))
    .addHelpText('after', () => `\n${settingsHelp(program.createHelp())}\n${examples}`);

  addRunCommand(program);
  for (const name of doorNames) addDoorCommand(program, name);
  addInspectCommand(program);
  addHaproxyconfCommand(program);
  addEnvoyconfCommand(program);
  addCheckCommand(program);
  addPolicyCommand(program);
  addHealthcheckCommand(program);
  return program;
}

/** Opens whatever doors the settings name. */
function addRunCommand(program: Command): void {
  const command = program
    .command('run', { isDefault: true })
    .description('Run with the doors that --doors names (the default command).')
    .allowExcessArguments();
  withSettings(command).action(async (flags: Record<string, string>, { args }: Command) => {
    refuseUnknownCommand(program, args[0]);
    await open(configOfDoors(flags, undefined));
  });
}

/** Opens one door alone. */
function addDoorCommand(program: Command, name: DoorName): void {
  const { command, summary } = doors[name];
  withSettings(program.command(command).description(summary), settingNamesOf(name)).action(
    async (flags: Record<string, string>) => open(configOfDoors(flags, name)),
  );
}

async function open(config: Config): Promise<void> {
  const { run } = await import('../daemon/run.ts');
  await run(config);
}

/** An unknown command reaches the default command as its argument. */
function refuseUnknownCommand(program: Command, name: string | undefined): void {
  if (name === undefined) return;
  const known = program.commands.map((command) => command.name()).join(', ');
  throw new ConfigError(`unknown command '${name}'; it must be one of ${known}`);
}

/** The settings by group, as `run` takes them. */
function settingsHelp(helper: Help): string {
  const options = settingNames.map((name) => ({ group: settings[name].group, name }));
  const width = Math.max(...settingNames.map((name) => settingOption(settings[name]).flags.length));
  helper.helpWidth ??= process.stdout.columns ?? 80;
  const parts = [
    'Settings, as flags or environment variables. A flag overrides its variable; an empty variable counts as unset.',
  ];
  for (const group of new Set(options.map((option) => option.group))) {
    parts.push('', `${group}:`);
    for (const name of settingNames) {
      if (settings[name].group !== group) continue;
      const { flags, description } = settingOption(settings[name]);
      parts.push(helper.formatItem(flags, width, description, helper));
    }
  }
  return `${parts.join('\n')}\n`;
}
