// The built program on a Node.js that is too old: whatever it is asked to do, it says in one sentence what is needed.
import { execFile, execFileSync } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import own from '../../package.json' with { type: 'json' };
import { nodeVersionProblem } from '../../src/cli/node-version.ts';

const main = join(import.meta.dirname, '..', '..', 'dist', 'main.js');

interface OldNode {
  readonly version: string;
  readonly path: string;
  readonly options: readonly string[];
}

/** The Node.js of the tests under the name of another version: there is always one. */
const pretended = (version: string): OldNode => ({
  version,
  path: process.execPath,
  options: [
    '--import',
    `data:text/javascript,Object.defineProperty(process,'versions',{value:{...process.versions,node:'${version}'}})`,
  ],
});

/** Those on the PATH that are really too old: they show that the entry is syntax that they know. */
function installed(): OldNode[] {
  const paths = (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, 'node'));
  const found = paths.filter((path) => existsSync(path)).map((path) => realpathSync(path));
  return [...new Set(found)]
    .map((path) => ({
      version: execFileSync(path, ['--version'], { encoding: 'utf8' }).trim().replace('v', ''),
      path,
      options: [],
    }))
    .filter(({ version, path }) => nodeVersionProblem(own.engines.node, version, path) !== undefined);
}

const tooOld = [pretended('18.20.8'), pretended('23.7.0'), ...installed()];

describe.each(tooOld)('appsec-edge on Node.js $version ($path)', ({ version, path, options }) => {
  it.each(['--version', '--help', 'spoa', 'inspect'])(
    '%s says what is required, but ends with 1',
    async (word) => {
      const { code, stdout, stderr } = await new Promise<{ code: unknown; stdout: string; stderr: string }>(
        (resolve) =>
          execFile(path, [...options, main, word], (error, out, complaint) =>
            resolve({ code: error?.code ?? 0, stdout: out, stderr: complaint }),
          ),
      );
      expect(stderr).toBe(`appsec-edge: ${nodeVersionProblem(own.engines.node, version, path)}\n`);
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    },
  );
});
