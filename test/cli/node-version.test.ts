// Which Node.js the program runs on, and that an older one gets as far as saying so. The program itself on an old one
// is test/e2e/old-node.test.ts.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { neededNode, nodeVersionProblem } from '../../src/cli/node-version.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const source = (name: string): string => readFileSync(join(root, 'src', name), 'utf8');
const { engines } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  readonly engines: { readonly node: string };
};
const problemOf = (running: string): string | undefined =>
  nodeVersionProblem(engines.node, running, '/usr/bin/node');

describe('the version of Node.js', () => {
  it('that is needed is the one in package.json', () => expect(neededNode).toBe(engines.node));

  // 23.0 to 23.7 are later than 22.15, and lack the same parts of node:zlib.
  it.each(['12.22.12', '18.20.8', '20.20.2', '22.14.0', '22.14.99', '23.0.0', '23.7.0'])(
    '%s is too old',
    (running) => expect(problemOf(running)).toContain(` is ${running}: `),
  );

  it.each(['22.15.0', '22.22.1', '23.8.0', '24.0.0', '24.21.0', '26.0.0-nightly', '100.1.2'])(
    '%s is new enough',
    (running) => expect(problemOf(running)).toBeUndefined(),
  );

  it('that is too old is told with what is needed, what runs, and the remedy', () => {
    expect(problemOf('20.20.2')).toBe(
      'Node.js 22.15 or a later 22.x, or 23.8 or later is required, but /usr/bin/node is 20.20.2: ' +
        "install a newer one, for example with 'npm install node@24', and run appsec-edge with it",
    );
  });
});

describe('what an old Node.js reads', () => {
  it.each(['main.ts', 'cli/node-version.ts'])('%s has no syntax that came after Node 12', (file) => {
    const code = source(file)
      .replace(/\/\*[\s\S]*?\*\//g, '')
      .replace(/\/\/.*/g, '');
    expect(code).not.toMatch(/\?\?|\?\.|\bawait\b|\|\|=|&&=/);
  });

  it('imports nothing else before it knows the version', () => {
    const imported = ['main.ts', 'cli/node-version.ts'].flatMap((file) =>
      [...source(file).matchAll(/^import .* from '(.*)';$/gm)].map((match) => match[1]),
    );
    expect(imported).toEqual(['./cli/node-version.ts']);
  });
});
