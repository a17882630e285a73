import { describe, expect, it } from 'vitest';
import { ApplyState, acknowledged } from '../../../src/datadog/remote-config/client.ts';
import { RemoteProducts } from '../../../src/datadog/remote-config/products.ts';
import type { NewTargetFile } from '../../../src/datadog/remote-config/response.ts';
import type { WafConfigChange, WafConfigOutcome } from '../../../src/engine/waf/waf-configs.ts';

function file(product: string, content: unknown, name = 'x'): NewTargetFile {
  const raw = Buffer.from(typeof content === 'string' ? content : JSON.stringify(content));
  const path = `datadog/2/${product}/${name}/config`;
  return { path, product, configId: name, version: 1, length: raw.length, hashes: { sha256: '0' }, raw };
}

/** A target that refuses the paths named in `refusals`. */
function start(refusals: Readonly<Record<string, string>> = {}) {
  const changes: WafConfigChange[] = [];
  const switched: (boolean | undefined)[] = [];
  const products = new RemoteProducts({
    apply(change): WafConfigOutcome[] {
      changes.push(change);
      return change.added.map(({ path }) => ({ path, error: refusals[path], issues: [] }));
    },
    activate: (enabled) => switched.push(enabled),
  });
  return { products, changes, switched };
}
const add = (...added: readonly NewTargetFile[]) => ({ removed: [], added });

describe('an update', () => {
  it('goes to the WAF as one change', () => {
    const { products, changes } = start();
    const [dd, asm, old] = [file('ASM_DD', { rules: [] }), file('ASM', {}), file('ASM_DATA', {}, 'old')];
    const outcomes = products.apply({ removed: [old], added: [dd, asm] });
    expect(changes).toEqual([
      {
        removed: [old.path],
        added: [
          { path: dd.path, product: 'ASM_DD', content: { rules: [] } },
          { path: asm.path, product: 'ASM', content: {} },
        ],
      },
    ]);
    expect(outcomes.get(dd.path)).toEqual({ state: ApplyState.acknowledged, error: '' });
  });

  it.each([
    ['{"rules": [', /JSON/],
    ['[]', /must be a JSON object/],
    ['null', /must be a JSON object/],
  ])('with the file %s keeps it from the WAF and says why', (content, reason) => {
    const { products, changes } = start();
    const [bad, good] = [file('ASM', content, 'bad'), file('ASM', {}, 'good')];
    const outcomes = products.apply(add(bad, good));
    expect(outcomes.get(bad.path)).toEqual({ state: ApplyState.error, error: expect.stringMatching(reason) });
    expect(outcomes.get(good.path)?.state).toBe(ApplyState.acknowledged);
    expect(changes[0]?.added.map(({ path }) => path)).toEqual([good.path]);
  });

  it('hands on what the WAF refused', () => {
    const bad = file('ASM', {});
    const { products } = start({ [bad.path]: '{"rules":{"error":"no"}}' });
    expect(products.apply(add(bad)).get(bad.path)).toEqual({ state: 3, error: '{"rules":{"error":"no"}}' });
  });
});

describe('what the WAF says later', () => {
  it('is told of other paths than those of the update, too', () => {
    const neighbour = 'datadog/2/ASM/neighbour/config';
    const products = new RemoteProducts({
      apply: () => [{ path: neighbour, error: 'taken', issues: [] }],
      activate: () => undefined,
    });
    expect(products.apply(add(file('ASM', {}))).get(neighbour)).toEqual({ state: 3, error: 'taken' });
  });

  it('does not hide that the file itself is broken, until that is mended or gone', () => {
    const { products } = start();
    const bad = file('ASM', '{');
    const said = [{ path: bad.path, error: undefined, issues: [] }];
    products.apply(add(bad));
    expect(products.outcomesOf(said).size).toBe(0);
    products.apply(add(file('ASM', {})));
    expect(products.outcomesOf(said).get(bad.path)).toEqual(acknowledged);
  });
});

describe('the switch', () => {
  it('is thrown by its file, and released when that goes', () => {
    const { products, switched } = start();
    const off = file('ASM_FEATURES', { asm: { enabled: false } });
    expect(products.apply(add(off)).get(off.path)?.state).toBe(ApplyState.acknowledged);
    products.apply({ removed: [off], added: [] });
    expect(switched).toEqual([false, undefined]);
  });

  it('never gets to the WAF', () => {
    const { products, changes } = start();
    const off = file('ASM_FEATURES', { asm: { enabled: false } });
    products.apply(add(off));
    products.apply({ removed: [off], added: [] });
    expect(changes.flatMap(({ added, removed }) => [...added, ...removed])).toEqual([]);
  });

  const on = file('ASM_FEATURES', { asm: { enabled: true } }, 'on');
  const off = file('ASM_FEATURES', { asm: { enabled: false } }, 'off');
  const conflict = { state: ApplyState.unacknowledged, error: expect.stringMatching(/several/) };

  it('in two files at once is not thrown, and neither is acknowledged', () => {
    const { products, switched } = start();
    const outcomes = products.apply(add(on, off));
    expect(switched).toEqual([undefined]);
    expect([...outcomes]).toEqual([
      [on.path, conflict],
      [off.path, conflict],
    ]);
  });

  it('in two files that come one after the other is released, and neither is acknowledged', () => {
    const { products, switched } = start();
    expect([...products.apply(add(off))]).toEqual([[off.path, acknowledged]]);
    const outcomes = products.apply(add(on));
    expect(switched).toEqual([false, undefined]);
    expect([...outcomes]).toEqual([
      [off.path, conflict],
      [on.path, conflict],
    ]);
  });

  it('of the file that is left is thrown and acknowledged', () => {
    const { products, switched } = start();
    products.apply(add(on, off));
    const outcomes = products.apply({ removed: [on], added: [] });
    expect(switched).toEqual([undefined, false]);
    expect([...outcomes]).toEqual([[off.path, acknowledged]]);
  });

  it('stays as its last good file says, and the bad one stays reported', () => {
    const { products, switched } = start();
    products.apply(add(off));
    const bad = products.apply(add(file('ASM_FEATURES', '{', 'off')));
    expect(bad.get(off.path)?.state).toBe(ApplyState.error);
    expect(products.apply(add(file('ASM', {}))).has(off.path)).toBe(false);
    expect(switched).toEqual([false, false, false]);
  });

  it.each([{ other: {} }, { asm: {} }, { asm: { enabled: 'no' } }])('is not thrown by %j', (content) => {
    const { products, switched } = start();
    products.apply(add(file('ASM_FEATURES', content)));
    expect(switched).toEqual([undefined]);
  });
});
