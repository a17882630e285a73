import { describe, expect, it } from 'vitest';
import {
  RepositoryError,
  readTargets,
  type TargetFile,
} from '../../../src/datadog/remote-config/response.ts';
import { remoteConfigAnswer } from '../../support/remote-config-server.ts';

const products = new Set(['ASM', 'ASM_DD', 'ASM_DATA']);
const nothingApplied: ReadonlyMap<string, TargetFile> = new Map();
const path = 'datadog/2/ASM/rules/config';
const read = (answer: unknown, applied = nothingApplied) =>
  readTargets(typeof answer === 'string' ? answer : JSON.stringify(answer), applied, products);

/** What is applied after an answer, so that the next one has something to differ from. */
function appliedFrom(answer: unknown): ReadonlyMap<string, TargetFile> {
  return new Map(read(answer)?.added.map(({ raw: _raw, ...file }) => [file.path, file] as const));
}

describe('an answer', () => {
  it('brings new files with what the index says of them', () => {
    const answer = remoteConfigAnswer(
      { [path]: { a: 1 } },
      { version: 7, backendState: 'b', fileVersion: 3 },
    );
    expect(read(answer)).toEqual({
      targetsVersion: 7,
      backendState: 'b',
      removed: [],
      added: [
        {
          path,
          product: 'ASM',
          configId: 'rules',
          version: 3,
          length: 7,
          hashes: { sha256: '015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862' },
          raw: Buffer.from('{"a":1}'),
        },
      ],
      renewed: [],
      ignored: [],
    });
  });

  it.each(['', ' \n', '{}', 'null', '{"targets":""}', '{"targets":null}'])(
    'of %j says: no change',
    (body) => {
      expect(read(body, appliedFrom(remoteConfigAnswer({ [path]: {} })))).toBeUndefined();
    },
  );

  it('removes what is no longer listed', () => {
    const applied = appliedFrom(remoteConfigAnswer({ [path]: {}, 'employee/ASM_DD/x/y': {} }));
    expect(read(remoteConfigAnswer({ [path]: {} }), applied)).toMatchObject({
      removed: ['employee/ASM_DD/x/y'],
      added: [],
    });
    expect(read(remoteConfigAnswer({}), applied)?.removed).toHaveLength(2);
  });

  it('needs no file for a content that is applied, and renews its version', () => {
    const applied = appliedFrom(remoteConfigAnswer({ [path]: {} }));
    const answer = remoteConfigAnswer({ [path]: {} }, { fileVersion: 2, withhold: [path] });
    expect(read(answer, applied)).toMatchObject({ removed: [], added: [], renewed: [{ path, version: 2 }] });
  });

  it('brings another content of a path that is applied', () => {
    const applied = appliedFrom(remoteConfigAnswer({ [path]: { a: 1 } }));
    const update = read(remoteConfigAnswer({ [path]: { a: 2 } }), applied);
    expect(update).toMatchObject({
      removed: [],
      renewed: [],
      added: [{ path, raw: Buffer.from('{"a":2}') }],
    });
  });

  it.each([
    'datadog/2/LIVE_DEBUGGING/x/config',
    'datadog/two/ASM/x/config',
    'datadog/2/ASM/config',
    'other/2/ASM/x/config',
    'datadog/2/ASM/x/config/more',
    'datadog/2//x/config',
    '../datadog/2/ASM/x/config',
  ])('names %s, which is ignored and harms nothing beside it', (bad) => {
    const update = read(remoteConfigAnswer({ [bad]: {}, [path]: {} }));
    expect(update?.ignored).toEqual([bad]);
    expect(update?.added.map((file) => file.path)).toEqual([path]);
  });

  const sound = remoteConfigAnswer({ [path]: { a: 1 } });
  it.each<[string, unknown, RegExp]>([
    ['no JSON', '<html>', /^answer is not JSON/],
    ['targets that are no JSON', { targets: Buffer.from('x').toString('base64') }, /^targets is not JSON/],
    [
      'targets without an index',
      { targets: Buffer.from('{}').toString('base64') },
      /^signed is not an object/,
    ],
    ['client_configs that are no list', { ...sound, client_configs: 'x' }, /client_configs is not a list/],
    ['a path that is not in the index', { ...sound, client_configs: ['employee/ASM/x/y'] }, /not in targets/],
    [
      'a file that is missing',
      remoteConfigAnswer({ [path]: {} }, { withhold: [path] }),
      /not in target_files/,
    ],
    [
      'another length',
      remoteConfigAnswer({ [path]: {} }, { edit: (targets) => edit(targets[path], { length: 3 }) }),
      /has 2 bytes, targets say 3/,
    ],
    [
      'another hash',
      remoteConfigAnswer(
        { [path]: {} },
        { edit: (targets) => edit(targets[path], { hashes: { sha256: 'f' } }) },
      ),
      /has sha256 44136fa.*, targets say f$/,
    ],
    [
      'no hash',
      remoteConfigAnswer({ [path]: {} }, { edit: (targets) => edit(targets[path], { hashes: {} }) }),
      /has no sha256 hash/,
    ],
  ])('with %s is refused as a whole', (_what, answer, reason) => {
    expect(() => read(answer)).toThrow(RepositoryError);
    expect(() => read(answer)).toThrow(reason);
  });
});

function edit<T extends object>(target: T | undefined, change: Partial<T>): void {
  if (target !== undefined) Object.assign(target, change);
}
