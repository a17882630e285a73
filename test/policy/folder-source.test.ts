import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { WafConfigChange, WafConfigOutcome } from '../../src/engine/waf/waf-configs.ts';
import { FolderSource } from '../../src/policy/folder-source.ts';

let folder: string;
const sources: FolderSource[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'appsec-edge-folder-'));
});
afterEach(() => {
  for (const source of sources.splice(0)) source.stop();
  rmSync(folder, { recursive: true, force: true });
});

function put(name: string, content: unknown): void {
  const asIs = typeof content === 'string' || content instanceof Uint8Array;
  writeFileSync(join(folder, name), asIs ? content : JSON.stringify(content));
}

/** A source whose target refuses every content with `_refuse` in it; `told` has what it said, in order. */
function newSource() {
  const changes: WafConfigChange[] = [];
  const told: string[] = [];
  const waiting = new Set<() => void>();
  let enabled: boolean | undefined;
  const tell = (text: string): void => {
    told.push(text.replaceAll(`${folder}/`, ''));
    for (const wake of waiting) wake();
  };
  const source = new FolderSource(
    folder,
    {
      apply(change): WafConfigOutcome[] {
        changes.push(change);
        return change.added.map(({ path, content }) => ({
          path,
          error: '_refuse' in content ? 'refused indeed' : undefined,
          issues: '_issue' in content ? [{ part: 'rules', reason: 'bad', ids: ['one'] }] : [],
        }));
      },
      activate(value) {
        enabled = value;
      },
      inEffect: () => [],
    },
    {
      applied: (file) => tell(`applied ${file}`),
      removed: (file) => tell(`removed ${file}`),
      failed: (file, problem) => tell(`failed ${file}: ${problem}`),
      found: (findings) => {
        for (const { file, line, place, text } of findings)
          tell(`found ${file}:${line ?? ''} ${place}: ${text}`);
      },
    },
  );
  sources.push(source);
  const says = (text: string): Promise<void> =>
    new Promise((resolve) => {
      const wake = (): void => {
        if (!told.includes(text)) return;
        waiting.delete(wake);
        resolve();
      };
      waiting.add(wake);
      wake();
    });
  return { source, changes, told, says, enabled: () => enabled };
}

const emptyChange = { removed: [], added: [] };

describe('a look through the folder', () => {
  it.each([
    ['ASM_DD', { version: '2.2', rules: [] }],
    ['ASM_DATA', { rules_data: [] }],
    ['ASM_DATA', { exclusion_data: [] }],
    ['ASM', { rules_override: [] }],
    ['ASM', { custom_rules: [], actions: [], exclusions: [] }],
  ])('takes a file as %s by what it holds: %j', (product, content) => {
    put('a.json', content);
    const { source, changes, told } = newSource();
    source.scan();
    expect(changes).toEqual([{ removed: [], added: [{ path: 'folder/a.json', product, content }] }]);
    expect(told).toEqual(['applied a.json']);
  });

  it('applies nothing again that did not change', () => {
    put('a.json', { actions: [] });
    const { source, changes, told } = newSource();
    source.scan();
    source.scan();
    expect(changes).toHaveLength(1);
    expect(told).toHaveLength(1);
  });

  it('passes over files that are not JSON by name, and hidden ones', () => {
    put('a.txt', {});
    put('.a.json', {});
    put('a.json~', {});
    const { source, changes } = newSource();
    source.scan();
    expect(changes).toEqual([]);
  });

  it('takes out what is gone, though it was refused', () => {
    put('a.json', { _refuse: 1 });
    const { source, changes } = newSource();
    source.scan();
    unlinkSync(join(folder, 'a.json'));
    source.scan();
    expect(changes[1]).toEqual({ ...emptyChange, removed: ['folder/a.json'] });
  });

  it('takes out refused rules that became the switch again', () => {
    put('a.json', { asm: { enabled: false } });
    const { source, changes, enabled } = newSource();
    source.scan();
    put('a.json', { _refuse: 1 });
    source.scan();
    expect(enabled()).toBe(false);
    put('a.json', { asm: { enabled: true } });
    source.scan();
    expect(changes[1]).toEqual({ ...emptyChange, removed: ['folder/a.json'] });
    expect(enabled()).toBe(true);
  });

  it('says what became of a file because of another source', () => {
    put('a.json', { _refuse: 1 });
    const { source, told } = newSource();
    source.scan();
    const outcome = { path: 'folder/a.json', error: undefined, issues: [] };
    source.follow([outcome, { ...outcome, path: 'datadog/2/ASM/a.json' }]);
    expect(told.slice(1)).toEqual(['applied a.json']);
    source.follow([{ ...outcome, error: 'taken' }]);
    expect(told.slice(2)).toEqual(['failed a.json: taken']);
  });

  it('releases the switch of a file whose rules come into effect later', () => {
    put('a.json', { asm: { enabled: false } });
    const { source, enabled } = newSource();
    source.scan();
    put('a.json', { _refuse: 1 });
    source.scan();
    source.follow([{ path: 'folder/a.json', error: undefined, issues: [] }]);
    expect(enabled()).toBeUndefined();
  });

  it('takes out what is gone', () => {
    put('a.json', { actions: [] });
    const { source, changes, told } = newSource();
    source.scan();
    unlinkSync(join(folder, 'a.json'));
    source.scan();
    expect(changes[1]).toEqual({ ...emptyChange, removed: ['folder/a.json'] });
    expect(told.at(-1)).toBe('removed a.json');
  });

  it('replaces a file that became something else under its old path', () => {
    put('a.json', { actions: [] });
    const { source, changes } = newSource();
    source.scan();
    put('a.json', { rules_data: [] });
    source.scan();
    expect(changes[1]).toMatchObject({
      removed: [],
      added: [{ path: 'folder/a.json', product: 'ASM_DATA' }],
    });
    unlinkSync(join(folder, 'a.json'));
    source.scan();
    expect(changes[2]?.removed).toEqual(['folder/a.json']);
  });

  it('takes rules out that became the switch, and the switch that became rules', () => {
    put('a.json', { actions: [] });
    const { source, changes, enabled } = newSource();
    source.scan();
    put('a.json', { asm: { enabled: false } });
    source.scan();
    expect(changes[1]).toEqual({ ...emptyChange, removed: ['folder/a.json'] });
    expect(enabled()).toBe(false);
    put('a.json', { actions: [] });
    source.scan();
    expect(changes[2]?.added).toHaveLength(1);
    expect(enabled()).toBeUndefined();
  });
});

describe('a bad file', () => {
  it.each([
    ['{"rules_override": [\n  {,}\n]}', /^failed a\.json: .*JSON.*line 2/s],
    ['[]', /^failed a\.json: must be a JSON object$/],
    ['', /^failed a\.json: .*JSON/],
    ['{"asm":{"enabled":"no"}}', /^failed a\.json: `asm\.enabled` must be true or false$/],
    ['{"_refuse":1}', /^failed a\.json: refused indeed$/],
  ])('%j is named once with the reason, and leaves its last good content', (content, reason) => {
    put('a.json', { actions: [] });
    const { source, changes, told } = newSource();
    source.scan();
    put('a.json', content);
    source.scan();
    source.scan();
    expect(told.slice(1)).toEqual([expect.stringMatching(reason)]);
    expect(changes.flatMap(({ removed }) => removed)).toEqual([]);
  });

  it('is taken when it is mended', () => {
    put('a.json', '{');
    const { source, told } = newSource();
    source.scan();
    put('a.json', { actions: [] });
    source.scan();
    expect(told.at(-1)).toBe('applied a.json');
  });

  it('does not keep its neighbour from being taken', () => {
    put('a.json', '{');
    put('b.json', { actions: [] });
    const { source, told } = newSource();
    source.scan();
    expect(told).toEqual([expect.stringMatching(/^failed a\.json/), 'applied b.json']);
  });

  it('that cannot be read is named once', () => {
    mkdirSync(join(folder, 'a.json'));
    const { source, told } = newSource();
    source.scan();
    source.scan();
    expect(told).toEqual([expect.stringMatching(/^failed a\.json: .*EISDIR/)]);
  });

  it('with bad items in it is in effect, and they are named', () => {
    put('a.json', { _issue: 1 });
    const { source, told } = newSource();
    source.scan();
    expect(told).toEqual(['applied a.json', 'failed a.json: in part: rules: bad (one)']);
  });

  it('as large as the folder that vanished leaves everything as it was', () => {
    put('a.json', { actions: [] });
    const { source, changes, told } = newSource();
    source.scan();
    rmSync(folder, { recursive: true });
    source.scan();
    source.scan();
    expect(changes).toHaveLength(1);
    expect(told.slice(1)).toEqual([expect.stringMatching(/ENOENT/)]);
  });
});

const listOfOneWord = { rules_data: [{ id: 'x', type: 'data_with_expiration', data: [{ value: 'grün' }] }] };

describe('a file as editors leave it', () => {
  const text = JSON.stringify(listOfOneWord);

  it.each([
    ['UTF-8', Buffer.from(text)],
    ['UTF-8 with a byte order mark', Buffer.from(`\ufeff${text}`)],
    ['UTF-16LE with a byte order mark', Buffer.from(`\ufeff${text}`, 'utf16le')],
    ['UTF-16BE with a byte order mark', Buffer.from(`\ufeff${text}`, 'utf16le').swap16()],
  ])('in %s is taken', (_what, bytes) => {
    put('a.json', bytes);
    const { source, changes } = newSource();
    source.scan();
    expect(changes[0]?.added.map(({ content }) => content)).toEqual([listOfOneWord]);
  });

  it.each(['A.JSON', 'a.Json'])('under the name %s is taken', (name) => {
    put(name, text);
    const { source, told } = newSource();
    source.scan();
    expect(told).toContain(`applied ${name}`);
  });

  it('in Latin-1 is taken, and what is wrong with it is said', () => {
    put('a.json', Buffer.from('{"_note": "gr\u00fcn"}', 'latin1'));
    const { source, told } = newSource();
    source.scan();
    expect(told).toEqual([
      'applied a.json',
      'found a.json: : is not UTF-8, so characters outside ASCII are misread; save it as UTF-8',
    ]);
  });

  it.each(['a.json5', 'a.jsonc', 'a.yaml', 'a.yml', 'a.json.bak', 'a.json~', 'a.json.txt'])(
    'under the name %s is passed over with a word, said once',
    (name) => {
      put(name, text);
      const { source, told, changes } = newSource();
      source.scan();
      source.scan();
      expect(told).toEqual([expect.stringMatching(`^found ${name}: : ignored: `)]);
      expect(changes).toEqual([]);
    },
  );

  it('in a subfolder is passed over with a word', () => {
    mkdirSync(join(folder, 'team'));
    mkdirSync(join(folder, 'empty'));
    mkdirSync(join(folder, '..hidden'));
    put('team/a.json', text);
    put('..hidden/a.json', text);
    const { source, told } = newSource();
    source.scan();
    expect(told).toEqual(['found team: : ignored: policies in subfolders are not read']);
  });

  it.each(['README.md', 'a.txt', '.a.json', '..data', 'json', 'policy.conf'])(
    'that is no policy, named %s, is passed over in silence',
    (name) => {
      put(name, text);
      const { source, told } = newSource();
      source.scan();
      expect(told).toEqual([]);
    },
  );
});

describe('a file that refers to nothing', () => {
  const unknown = '{\n "actions": [],\n "rule_overrides": []\n}';
  const word =
    "found a.json:3 rule_overrides: unknown key 'rule_overrides': ignored; did you mean 'rules_override'?";

  it('is in effect, and is told with the line, once', () => {
    put('a.json', unknown);
    const { source, told, changes } = newSource();
    source.scan();
    source.scan();
    source.follow([]);
    expect(told).toEqual(['applied a.json', word]);
    expect(changes[0]?.added).toHaveLength(1);
  });

  it('is told again when its content has changed and the mistake has not', () => {
    put('a.json', unknown);
    const { source, told } = newSource();
    source.scan();
    put('a.json', `${unknown}\n`);
    source.scan();
    expect(told.filter((line) => line === word)).toHaveLength(2);
  });

  it('is told when another file that defined something goes', () => {
    const rules_override = [{ id: 'x', on_match: ['teapot'] }];
    put('a.json', { rules_override });
    put('b.json', { actions: [{ id: 'teapot', type: 'monitor', parameters: {} }] });
    const { source, told } = newSource();
    source.scan();
    const before = told.length;
    unlinkSync(join(folder, 'b.json'));
    source.scan();
    expect(told.slice(before)).toEqual([
      'removed b.json',
      expect.stringMatching(/^found a\.json:1 rules_override\[0\]\.on_match\[0\]: unknown action 'teapot'/),
    ]);
  });

  it('has a key twice: it is told which counts', () => {
    put('a.json', '{"actions": [],\n"actions": []}');
    const { source, told } = newSource();
    source.scan();
    expect(told[1]).toBe(
      "found a.json:1 actions: 'actions' is repeated in this object: only the last value counts",
    );
  });

  it('is the switch: what stands beside it is told', () => {
    put('a.json', { asm: { enabled: true }, custom_rules: [] });
    const { source, told, enabled } = newSource();
    source.scan();
    expect(enabled()).toBe(true);
    expect(told[1]).toMatch(/^found a\.json:1 custom_rules: ignored in a file with `asm`/);
  });
});

describe('the switch', () => {
  it.each([
    [[true], true],
    [[false], false],
    [[true, false], false],
    [[], undefined],
  ])('of files that say %j is %s', (values, expected) => {
    for (const [index, enabled] of values.entries()) put(`${index}.json`, { asm: { enabled } });
    const { source, enabled } = newSource();
    source.scan();
    expect(enabled()).toBe(expected);
  });

  it('is released when its file goes', () => {
    put('off.json', { asm: { enabled: false } });
    const { source, enabled } = newSource();
    source.scan();
    unlinkSync(join(folder, 'off.json'));
    source.scan();
    expect(enabled()).toBeUndefined();
  });
});

describe('watching', () => {
  it('does not begin in a folder that is not there', () => {
    rmSync(folder, { recursive: true });
    expect(() => newSource().source.start()).toThrow(/ENOENT/);
  });

  it('sees files that come, change and go', async () => {
    put('first.json', { actions: [] });
    const { source, told, says } = newSource();
    source.start();
    expect(told).toEqual(['applied first.json']);
    put('.second.json', { actions: [] });
    renameSync(join(folder, '.second.json'), join(folder, 'second.json'));
    await says('applied second.json');
    put('second.json', { _refuse: 1 });
    await says('failed second.json: refused indeed');
    unlinkSync(join(folder, 'first.json'));
    await says('removed first.json');
  });

  it('sees the link swap by which Kubernetes changes a ConfigMap', async () => {
    for (const [version, content] of [
      ['..one', { actions: [] }],
      ['..two', { _refuse: 1 }],
    ] as const) {
      mkdirSync(join(folder, version));
      put(`${version}/a.json`, content);
    }
    symlinkSync('..one', join(folder, '..data'));
    symlinkSync('..data/a.json', join(folder, 'a.json'));
    const { source, told, says } = newSource();
    source.start();
    expect(told).toEqual(['applied a.json']);
    symlinkSync('..two', join(folder, '..data_tmp'));
    renameSync(join(folder, '..data_tmp'), join(folder, '..data'));
    await says('failed a.json: refused indeed');
  });
});
