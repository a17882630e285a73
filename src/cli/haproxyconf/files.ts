import { readFileSync } from 'node:fs';

/*
 * The shipped HAProxy files with an operator's addresses and paths in the place of the defaults. Nothing is
 * generated: the files are those of haproxyconf/ and lua/, comments included, and only defaults change. What the
 * environment of HAProxy says still wins over them.
 */

export interface HaproxyconfOptions {
  /** As HAProxy writes addresses: host:port, [v6]:port, unix@/path. At least one. */
  readonly servers: readonly string[];
  /** Paths on the machine where HAProxy runs. */
  readonly spoePath: string;
  readonly luaPath: string;
  readonly processingTimeout: string;
  /** How long the agent keeps a request whose response has not come. */
  readonly timeout: string;
  readonly backend: string;
}

export const luaFileName = 'datadog_aap_blocking_response.lua';

/** File name in the output folder, and path in the package. */
const shippedFiles: Readonly<Record<string, string>> = {
  'global-config.cfg': 'haproxyconf/global-config.cfg',
  'frontend-config.cfg': 'haproxyconf/frontend-config.cfg',
  'backend.cfg': 'haproxyconf/backend.cfg',
  'spoe.cfg': 'haproxyconf/spoe.cfg',
  [luaFileName]: `lua/${luaFileName}`,
};

export const haproxyconfFileNames = Object.keys(shippedFiles);

export const defaultBackend = 'dd-spoa';

/** The text of a shipped file, from the package: haproxyconf/ and lua/ stand beside src/ and dist/. */
export function readShippedFile(name: string): string {
  const path = shippedFiles[name];
  if (path === undefined) throw new Error(`no file of the package is called ${name}`);
  return readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8');
}

/**
 * The texts to write by file name.
 * @throws Error when a shipped file no longer has the line that an option belongs to: a defect of the package.
 */
export function renderHaproxyconf(options: HaproxyconfOptions): Map<string, string> {
  const [firstServer, ...moreServers] = options.servers;
  if (firstServer === undefined) throw new Error('no server');
  const variables: Readonly<Record<string, string>> = {
    DD_SPOA_SPOA_CONF_FILE: options.spoePath,
    DD_SPOA_LUA_FILE: options.luaPath,
    DD_SPOA_TIMEOUT: options.timeout,
    DD_SPOA_PROCESSING_TIMEOUT: options.processingTimeout,
    DD_SPOA_ADDRESS: firstServer,
  };
  const texts = new Map(haproxyconfFileNames.map((name) => [name, readShippedFile(name)]));
  const edit = (name: string, change: (text: string) => string): void => {
    texts.set(name, change(texts.get(name) ?? ''));
  };

  for (const [name, value] of Object.entries(variables)) {
    edit('global-config.cfg', (text) =>
      replaced(
        text,
        new RegExp(`^(\\s*presetenv ${name}) .*$`, 'm'),
        `$1 ${quoted(value)}`,
        `presetenv ${name}`,
      ),
    );
    for (const file of haproxyconfFileNames) {
      edit(file, (text) =>
        text.replace(new RegExp(`\\$\\{${name}-[^}]*\\}`, 'g'), `\${${name}-${inserted(value)}}`),
      );
    }
  }
  if (moreServers.length > 0) {
    const lines = moreServers.map((server, index) => `    server spoa${index + 2} ${quoted(server)}`);
    edit('backend.cfg', (text) =>
      replaced(text, /^\s*# server spoa2 .*$/m, lines.map(inserted).join('\n'), '# server spoa2'),
    );
  }
  if (options.backend !== defaultBackend) {
    const { backend } = options;
    edit('backend.cfg', (text) =>
      replaced(
        replaced(
          text,
          /^defaults dd-spoa-defaults$/m,
          `defaults ${backend}-defaults`,
          'defaults dd-spoa-defaults',
        ),
        /^backend dd-spoa from dd-spoa-defaults$/m,
        `backend ${backend} from ${backend}-defaults`,
        'backend dd-spoa',
      ),
    );
    edit('spoe.cfg', (text) =>
      replaced(text, /^(\s*use-backend) dd-spoa$/m, `$1 ${options.backend}`, 'use-backend dd-spoa'),
    );
    edit('frontend-config.cfg', (text) =>
      replaced(text, /nbsrv\(dd-spoa\)/g, `nbsrv(${options.backend})`, 'nbsrv(dd-spoa)'),
    );
  }
  return texts;
}

function replaced(text: string, pattern: RegExp, by: string, what: string): string {
  if (!pattern.test(text)) throw new Error(`the shipped HAProxy files have no line '${what}' to replace`);
  return text.replace(pattern, by);
}

/** `$` has a meaning in a replacement. */
function inserted(text: string): string {
  return text.replaceAll('$', '$$$$');
}

function quoted(text: string): string {
  return inserted(text.includes(' ') ? `"${text}"` : text);
}
