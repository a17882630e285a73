// The Debian mirror this machine itself uses, and the same mirror pointed at another suite.
// Both of apt's notations are read: deb822 (*.sources) and one line per source (*.list).
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** One entry of the machine's apt configuration: its text without the suite, which `sourceForSuite` adds. */
export type AptSource =
  | { readonly extension: 'sources'; readonly stanza: string }
  | { readonly extension: 'list'; readonly options: string; readonly uri: string };

/** @returns the machine's own entry for Debian's main archive, or the reason why there is none. */
export async function machineDebianSource(): Promise<AptSource | string> {
  const release = await readText('/etc/os-release');
  if (!/^ID="?debian"?$/m.test(release)) return 'is only fetched on Debian, and this system is another one';
  const codename = /^VERSION_CODENAME="?([^"\n]+)"?$/m.exec(release)?.[1];
  if (codename === undefined) return 'is not fetched: /etc/os-release does not name the Debian suite';

  const folder = '/etc/apt/sources.list.d';
  const names = await readdir(folder).catch(() => []);
  for (const path of ['/etc/apt/sources.list', ...names.map((name) => join(folder, name))]) {
    const text = await readText(path);
    const source = path.endsWith('.sources') ? fromStanzas(text, codename) : fromLines(text, codename);
    if (source !== undefined) return source;
  }
  return `is not fetched: no apt source of this machine carries the main archive of ${codename}`;
}

/** The text of a source file that points the same mirror at `suite`. */
export function sourceForSuite(source: AptSource, suite: string): string {
  return source.extension === 'sources'
    ? `${source.stanza}\nSuites: ${suite}\nComponents: main\n`
    : `deb ${source.options}${source.uri} ${suite} main\n`;
}

function fromStanzas(text: string, codename: string): AptSource | undefined {
  for (const stanza of text.split(/\n\s*\n/)) {
    const lines = stanza.split('\n').filter((line) => !line.startsWith('#') && line.trim() !== '');
    const suites = lines.find((line) => /^Suites:/i.test(line))?.split(/\s+/) ?? [];
    const components = lines.find((line) => /^Components:/i.test(line))?.split(/\s+/) ?? [];
    if (!suites.includes(codename) || !components.includes('main')) continue;
    // Everything else is kept, above all the address and the key, which may span several lines.
    const kept = lines.filter((line) => !/^(Suites|Components|Types):/i.test(line));
    return { extension: 'sources', stanza: ['Types: deb', ...kept].join('\n') };
  }
  return undefined;
}

function fromLines(text: string, codename: string): AptSource | undefined {
  for (const line of text.split('\n')) {
    const [, options = '', uri, suite, components = ''] =
      /^deb\s+(\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s+(.*)$/.exec(line.trim()) ?? [];
    if (uri === undefined || suite !== codename || !components.split(/\s+/).includes('main')) continue;
    return { extension: 'list', options, uri };
  }
  return undefined;
}

function readText(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(() => '');
}
