import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseMediaType } from '../../../src/engine/body/media-type.ts';

describe('a media type', () => {
  it('is read without its parameters, in lower case', () => {
    expect(parseMediaType(['Text/HTML; Charset="UTF-8"'])).toEqual({
      essence: 'text/html',
      essences: ['text/html'],
      boundaries: [],
      charset: 'utf-8',
    });
  });

  it('is unknown when missing or malformed', () => {
    for (const fields of [
      [],
      [''],
      ['text'],
      ['text/'],
      ['/x'],
      ['text/ html'],
      ['te xt/html'],
      ['text/html x'],
      ['text/html, x'],
    ]) {
      expect(parseMediaType(fields).essence).toBe(undefined);
    }
  });

  it('is known when it is repeated alike, unknown when the fields disagree', () => {
    expect(parseMediaType(['text/html', 'text/HTML']).essence).toBe('text/html');
    const both = parseMediaType(['text/html, application/json', 'text/plain']);
    expect(both).toMatchObject({
      essence: undefined,
      essences: ['text/html', 'application/json', 'text/plain'],
    });
  });

  it('has all its boundaries, quoted or not', () => {
    const fields = ['multipart/form-data; boundary=a; BOUNDARY = "b,\\" c"; boundary=a; boundary='];
    expect(parseMediaType(fields)).toMatchObject({
      essence: 'multipart/form-data',
      boundaries: ['a', 'b," c'],
    });
  });

  it('keeps what can be known of malformed parameters', () => {
    expect(parseMediaType(['a/b;;;=x; y; boundary=z"q; charset="utf']).boundaries).toEqual(['z"q']);
  });

  it('is read from any text in time proportional to its length', () => {
    fc.assert(fc.property(fc.array(fc.string()), (fields) => void parseMediaType(fields)));
    for (const unit of ['"', '\\"', ',', '=', 'a', 'a=', 'a="\\', ';a="b\\"', '/', ' ']) {
      const startedAt = performance.now();
      parseMediaType([unit.repeat(100_000), `a/b;${unit.repeat(100_000)}`, `a/b,${unit.repeat(100_000)}`]);
      expect([unit, performance.now() - startedAt < 2000]).toEqual([unit, true]);
    }
  });
});
