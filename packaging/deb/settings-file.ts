// /etc/appsec-edge/appsec-edge.env, from the one table of settings.
import type { AnySetting } from '../../src/config/setting.ts';
import { settingNames, settings } from '../../src/daemon/settings.ts';

const width = 110;

/** Other values than the table's: a package that is installed must not open ports to the network by that. */
const ownDefaults: Readonly<Record<string, string>> = { DD_HAPROXY_SPOA_HOST: '127.0.0.1' };

/** Every setting, with what it does and its default; all are comments but those of `ownDefaults`. */
export function settingsFile(): string {
  const lines = [
    '# Settings of appsec-edge, read by its systemd unit. After a change: systemctl restart appsec-edge',
    '# One VARIABLE=value per line, see EnvironmentFile in systemd.exec(5). Commented settings have their default.',
    '# Details: /usr/share/doc/appsec-edge/docs/configuration.md',
  ];
  let group = '';
  for (const name of settingNames) {
    const setting: AnySetting = settings[name];
    if (setting.group !== group) lines.push('', `### ${setting.group}`);
    group = setting.group;
    const own = ownDefaults[setting.env];
    lines.push('', ...wrapped(setting.description));
    if (own !== undefined) lines.push(...wrapped(`(Default: ${setting.defaultText}.)`));
    lines.push(own === undefined ? `#${setting.env}=${setting.defaultText}` : `${setting.env}=${own}`);
  }
  return `${lines.join('\n')}\n`;
}

function wrapped(text: string): string[] {
  const lines: string[] = [];
  let line = '#';
  for (const word of text.split(' ')) {
    if (line.length + word.length >= width) {
      lines.push(line);
      line = '#';
    }
    line += ` ${word}`;
  }
  return [...lines, line];
}
