import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseMediaType } from '../../../src/engine/body/media-type.ts';
import { growthOf, inProportion } from '../../support/growth.ts';

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

  it('is read from any text without an error', () => {
    fc.assert(fc.property(fc.array(fc.string()), (fields) => void parseMediaType(fields)));
  });

  it.each(
    ['"', '\\"', ',', '=', 'a', 'a=', 'a="\\', ';a="b\\"', '/', ' '].flatMap((unit) => [
      ['', unit],
      ['a/b;', unit],
      ['a/b,', unit],
    ]),
  )(
    'of %j and many times %j is read with work in proportion to its length',
    async (start = '', unit = '') => {
      const work = (size: number): unknown => parseMediaType([start + unit.repeat(size)]);
      expect(await growthOf(work, 5_000)).toBeLessThan(inProportion);
    },
  );
});
