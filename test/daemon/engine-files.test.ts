import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createBlockPages, readEngineFiles } from '../../src/daemon/engine-files.ts';
import { doorsOf, readConfig } from '../../src/daemon/settings.ts';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'appsec-edge-files-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function put(name: string, content: string | Buffer): string {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
}

describe('files that settings name', () => {
  it('are read over their byte order marks', () => {
    const config = readConfig(
      {
        rulesPath: put('rules.json', '\ufeff{"rules": []}'),
        blockedTemplateHtmlPath: put('page.html', '\ufeff<!doctype html>'),
        blockedTemplateJsonPath: put('page.json', Buffer.from('\ufeff{}', 'utf16le')),
      },
      {},
    );
    expect(readEngineFiles(config)).toMatchObject({
      ruleset: { rules: [] },
      pages: { html: '<!doctype html>', json: '{}' },
    });
  });

  it('are named with the place of a mistake in JSON', () => {
    const rulesPath = put('bad.json', '{"rules": [\n  {},\n]}');
    expect(() => readEngineFiles(readConfig({ rulesPath }, {}))).toThrow(
      `ruleset ${rulesPath}: is not JSON: line 2, column 5: trailing comma`,
    );
  });
});

describe('block page templates, as the program starts', () => {
  const config = readConfig({ maxFrameSizeBytes: '24572' }, {});
  const started = (html: string) => () =>
    createBlockPages(
      config,
      { pages: { html, json: undefined }, servicePages: new Map() },
      doorsOf(['haproxy']),
    );

  it('may take what a frame leaves beside the room for headers that HAProxy adds', () => {
    expect(started('x'.repeat(16_384))).not.toThrow();
  });

  it('are refused when no connection could ever carry them, as a page would be substituted', () => {
    expect(started('x'.repeat(16_385))).toThrow(/16385 bytes cannot fit into a frame of 24572/);
  });
});
