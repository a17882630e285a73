import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type InspectedBody, inspectBody } from '../../../src/engine/body/inspect-body.ts';
import type { HeaderList } from '../../../src/engine/http.ts';
import type { WafValue } from '../../../src/engine/waf/waf-value.ts';
import { growthOf, inProportion } from '../../support/growth.ts';

const limits = { maxBytes: 100_000, maxDecompressedBytes: 1_000_000 };
const attack = "<script>'or 1=1--";

function ofType(type: string | undefined, ...more: [string, string][]): HeaderList {
  return type === undefined ? more : [['content-type', type], ...more];
}

async function inspect(
  body: string | Uint8Array,
  headers: HeaderList,
  declaredSize?: number,
  maxBytes = limits.maxBytes,
): Promise<InspectedBody> {
  const bytes = typeof body === 'string' ? Buffer.from(body) : body;
  return inspectBody({ bytes, declaredSize }, headers, { ...limits, maxBytes });
}

/** Every string among the values; not the keys, since rules do not look at them. */
function stringsOf(value: WafValue | undefined): string[] {
  const found: string[] = [];
  const stack: (WafValue | undefined)[] = [value];
  while (stack.length > 0) {
    const item = stack.pop();
    if (typeof item === 'string') found.push(item);
    else if (typeof item === 'object' && item !== null)
      for (const inner of Object.values(item)) stack.push(inner);
  }
  return found;
}

const shows = (inspected: InspectedBody, text: string): boolean =>
  stringsOf(inspected.body).some((found) => found.includes(text));

function longestList(value: WafValue | undefined): number {
  if (typeof value !== 'object' || value === null) return 0;
  const items = Object.values(value) as WafValue[];
  return Math.max(items.length, ...items.map(longestList));
}

/** Null prototypes and plain objects alike. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value) ?? 'null');

describe('a JSON body', () => {
  const json = ofType('application/json; charset=utf-8');

  it('gives its value', async () => {
    const inspected = await inspect('{"a":[1,"x",null,true]}', json);
    expect(inspected).toMatchObject({ format: 'json', partial: false, malformed: undefined, filenames: [] });
    expect(inspected.body).toEqual({ a: [1, 'x', null, true] });
  });

  it('is inspected synchronously', () => {
    const inspected = inspectBody({ bytes: Buffer.from('{}'), declaredSize: 2 }, json, limits);
    expect(inspected).not.toBeInstanceOf(Promise);
  });

  for (const type of [
    'application/vnd.api+json',
    'text/json',
    'APPLICATION/JSON',
    'application/problem+json;x=y',
  ]) {
    it(`is recognised as ${type}`, async () => {
      expect(await inspect('{"a":1}', ofType(type))).toMatchObject({ format: 'json', body: { a: 1 } });
    });
  }

  it('keeps all values of a repeated key', async () => {
    const inspected = await inspect('{"a":"1","b":{"c":1,"c":[2],"c":{"d":3}},"a":"2"}', json);
    expect(plain(inspected.body)).toEqual({ a: ['1', '2'], b: { c: [1, [2], { d: 3 }] } });
    expect(inspected.malformed).toBe(undefined);
  });

  it('keeps all values of a key that is repeated in other letters', async () => {
    const inspected = await inspect('{"a":"1","\\u0061":"2"}', json);
    expect(plain(inspected.body)).toEqual({ a: ['1', '2'] });
  });

  it('does not take colons and quotes inside strings for keys', async () => {
    const text = JSON.stringify({ 'a":"b': ':"\\":', c: ['"', ' :', '\\"'] });
    expect((await inspect(text, json)).body).toEqual(JSON.parse(text));
  });

  it('keeps the key __proto__, once and repeated', async () => {
    expect(shows(await inspect(`{"__proto__":{"a":"${attack}"}}`, json), attack)).toBe(true);
    expect(shows(await inspect(`{"__proto__":"${attack}","__proto__":1}`, json), attack)).toBe(true);
  });

  it('may begin with a byte order mark', async () => {
    expect(await inspect('\uFEFF{"a":1}', json)).toMatchObject({ body: { a: 1 }, malformed: undefined });
  });

  it('may be UTF-16, with and without a byte order mark', async () => {
    const text = `{"a":"${attack}"}`;
    for (const bytes of [
      Buffer.from(text, 'utf16le'),
      Buffer.from(`\uFEFF${text}`, 'utf16le'),
      Buffer.from(text, 'utf16le').swap16(),
    ]) {
      const inspected = await inspect(bytes, ofType('application/json'));
      expect(stringsOf(inspected.body)).toContain(attack);
      expect(inspected.malformed).toBe(undefined);
    }
  });

  it('in UTF-8 is not hidden by a claim to be UTF-16', async () => {
    const inspected = await inspect(`{"a":"\\u003cscript>"}`, ofType('application/json; charset=utf-16'));
    expect(stringsOf(inspected.body)).toContain('<script>');
  });

  it('that is malformed gives what came before, the raw text, and its escapes decoded', async () => {
    const inspected = await inspect(`{"a":"first","b":'\\u003cscript\\u003e'}`, json);
    expect(inspected.malformed).toMatch(/^not JSON: /);
    expect(inspected.partial).toBe(false);
    expect(stringsOf(inspected.body)).toContain('first');
    expect(shows(inspected, "'<script>'")).toBe(true);
    expect(shows(inspected, "'\\u003cscript\\u003e'")).toBe(true);
  });

  it('with text after its end is malformed, and the text is shown', async () => {
    for (const tail of [attack, ` ${attack}`, `}${attack}`, `\\`]) {
      const inspected = await inspect(`{"a":1}${tail}`, json);
      expect(inspected.malformed).toMatch(/^not JSON/);
      expect(shows(inspected, tail)).toBe(true);
    }
  });

  it('of several documents is malformed, and all of them are shown', async () => {
    const inspected = await inspect(`{"a":1}{"b":"${attack}"}`, json);
    expect(inspected.malformed).toBe('not JSON: 2 documents in a row');
    expect(stringsOf(inspected.body)).toContain(attack);
  });

  it('of several lines is a list when its type says so', async () => {
    for (const type of ['application/x-ndjson', 'application/jsonl', 'application/stream+json']) {
      const inspected = await inspect('{"a":1}\n{"a":"\\u003c"}\n3\n', ofType(type));
      expect(plain(inspected.body)).toEqual([{ a: 1 }, { a: '<' }, 3]);
      expect(inspected).toMatchObject({ format: 'json', malformed: undefined, partial: false });
    }
    const sequence = await inspect('\x1e{"a":1}\n\x1e[2]\n', ofType('application/json-seq'));
    expect(plain(sequence.body)).toEqual([{ a: 1 }, [2]]);
  });

  it('of a Connect stream is a list of its messages, the last one cut off', async () => {
    const enveloped = (flags: number, message: string, length = message.length): Buffer =>
      Buffer.concat([Buffer.from([flags, 0, 0, length >> 8, length & 255]), Buffer.from(message)]);
    const stream = ofType('application/connect+json');
    const whole = [enveloped(0, '{"a":"\\u003c"}'), enveloped(0, '[2]'), enveloped(2, '{}')];
    const inspected = await inspect(Buffer.concat(whole), stream);
    expect(plain(inspected.body)).toEqual([{ a: '<' }, [2], {}]);
    expect(inspected).toMatchObject({ format: 'json', malformed: undefined, partial: false });
    const cut = await inspect(
      Buffer.concat([enveloped(0, '[1]'), enveloped(0, '{"a":"\\u003', 300)]),
      stream,
    );
    expect(plain(cut.body)).toEqual([[1], { a: '' }]);
    expect(cut.partial).toBe(true);
  });

  it('of a Connect stream that has no envelopes, or compressed messages, is shown as it is', async () => {
    const stream = ofType('application/connect+json');
    expect(plain((await inspect('{"a":1}', stream)).body)).toEqual({ a: 1 });
    const compressed = await inspect(Buffer.from(`\x01\0\0\0\x20${attack}`), stream);
    expect(shows(compressed, attack)).toBe(true);
    expect(compressed.malformed).toMatch(/^not JSON/);
  });

  it('that is a form in truth is shown as form and as text', async () => {
    const inspected = await inspect('a=%3Cscript%3E', json);
    expect(stringsOf(inspected.body)).toContain('<script>');
    expect(inspected.malformed).toMatch(/^not JSON/);
  });

  for (const [what, open, close] of [
    ['lists', '[', ']'],
    ['objects', '{"a":', '}'],
  ] as const) {
    it(`may have 250 ${what} inside each other, whole and cut off`, async () => {
      const opening = open.repeat(250);
      const whole = await inspect(`${opening}"${attack}"${close.repeat(250)}`, json);
      expect(shows(whole, attack)).toBe(true);
      expect(whole).toMatchObject({ partial: false, malformed: undefined });
      const cut = await inspect(`${opening}"${attack}"`, json);
      expect(shows(cut, attack)).toBe(true);
      expect(cut).toMatchObject({ partial: true, malformed: undefined });
    });

    it(`with 100,000 ${what} inside each other is shown as text`, async () => {
      const deep = await inspect(`${open.repeat(100_000)}"${attack}"`, json, undefined, 10_000_000);
      expect(shows(deep, attack)).toBe(true);
      expect(deep.malformed).toBe('JSON of more than 20000 values or 256 levels: inspected as text');
    });
  }

  it('may hold numbers beyond all bounds', async () => {
    const inspected = await inspect(`{"a":1e99999,"b":${'9'.repeat(5000)},"c":"${attack}"}`, json);
    expect(shows(inspected, attack)).toBe(true);
  });

  it('that was cut is partial and not malformed, wherever the cut is', async () => {
    const text = JSON.stringify({
      'k\\"': ['x\\', -1.5e-3, true, null, {}, [], 'é\u{1f600}\n'],
      q: { r: '"\\\\"' },
    });
    const bytes = Buffer.from(text);
    for (let length = 1; length < bytes.length; length += 1) {
      const inspected = await inspect(bytes.subarray(0, length), json, bytes.length);
      expect([length, inspected.partial, inspected.malformed]).toEqual([length, true, undefined]);
    }
  });

  it('that was cut gives every attack that lies before the cut', async () => {
    const written = [JSON.stringify(attack), `"${attack.replace('<', '\\u003c')}"`];
    for (const string of written) {
      const before = Buffer.from(`{"a":[1,{"b":${string.slice(0, -1)}`);
      const bytes = Buffer.from(`${before}\\u0041\\\\é tail","c":2}]}`);
      for (let length = before.length; length < bytes.length; length += 1) {
        const inspected = await inspect(bytes.subarray(0, length), json, bytes.length);
        expect([length, shows(inspected, attack)]).toEqual([length, true]);
      }
    }
  });

  it('that was cut keeps the key at the cut', async () => {
    expect(plain((await inspect('{"a":1,"<scr', json, 99)).body)).toEqual({ a: 1, '<scr': null });
  });

  it('that was cut by the limit is partial', async () => {
    const inspected = await inspect('{"a":"0123456789"}', json, 18, 10);
    expect(inspected).toMatchObject({ partial: true, malformed: undefined });
    expect(plain(inspected.body)).toEqual({ a: '0123' });
  });

  it('of very many values is shown as text', async () => {
    for (const text of [
      `[${'1,'.repeat(20_001)}"${attack}"]`,
      `{"a":0,${'"a":[],'.repeat(200_000)}"b":"${attack}"}`,
      `${'['.repeat(3_000_000)}"${attack}"`,
    ]) {
      const inspected = await inspect(text, json, undefined, 10_000_000);
      expect(inspected.malformed).toBe('JSON of more than 20000 values or 256 levels: inspected as text');
      expect(shows(inspected, attack)).toBe(true);
    }
  });

  it('of blanks is nothing', async () => {
    expect(await inspect(' \n', json)).toMatchObject({ body: undefined, malformed: undefined });
  });
});

describe('a form body', () => {
  const form = ofType('application/x-www-form-urlencoded');

  it('gives its fields, repeated ones as well', async () => {
    const inspected = await inspect('a=1&b=%3Cx%3E+y&a=2;c', form);
    expect(plain(inspected.body)).toEqual({ a: ['1', '2;c'], b: ['<x> y'] });
    expect(inspected).toMatchObject({ format: 'form', partial: false, malformed: undefined });
  });

  it('may have 10,000 fields', async () => {
    const pairs = Array.from({ length: 10_000 }, (_, index) => `k${index}=v`).join('&');
    const inspected = await inspect(
      `${pairs}&last=${encodeURIComponent(attack)}`,
      form,
      undefined,
      1_000_000,
    );
    expect(Object.keys(inspected.body as object)).toHaveLength(10_001);
    expect(shows(inspected, attack)).toBe(true);
  });

  it('is not hidden by the byte order mark of UTF-16 before it', async () => {
    for (const mark of [Buffer.of(0xff, 0xfe), Buffer.of(0xfe, 0xff)]) {
      const body = Buffer.concat([mark, Buffer.from(`=1&id=${encodeURIComponent(attack)}`)]);
      expect(shows(await inspect(body, form), attack)).toBe(true);
    }
  });

  it('of more than 20,000 fields is shown as text, decoded', async () => {
    const text = `${'a=&'.repeat(20_001)}b=${encodeURIComponent(attack)}`;
    const inspected = await inspect(text, form, undefined, 1_000_000);
    expect(inspected.malformed).toBe('form of more than 20000 fields: inspected as text');
    expect(shows(inspected, attack)).toBe(true);
  });

  it('with a name that has no `=` is shown as text too, decoded', async () => {
    expect(shows(await inspect(encodeURIComponent(attack).replaceAll('=', '%3D'), form), attack)).toBe(true);
  });

  it('that is JSON or XML in truth is shown as that', async () => {
    const jsonBody = await inspect('{"a":"\\u003cscript>=","b":1}', form);
    expect(stringsOf(jsonBody.body)).toContain('<script>=');
    expect(jsonBody.malformed).toBe('form: the body looks like JSON or XML');
    expect(shows(await inspect('<a b="/etc/passwd"/>', form), '<a b="/etc/passwd"/>')).toBe(true);
  });

  it('that was cut is partial and not malformed, and gives what lies before the cut', async () => {
    const start = `a=1&b=${encodeURIComponent(attack)}`;
    const bytes = Buffer.from(`${start}&%41c=%e2%82%ac&d=x`);
    for (let length = start.length; length < bytes.length; length += 1) {
      const inspected = await inspect(bytes.subarray(0, length), form, bytes.length);
      expect([length, shows(inspected, attack), inspected.partial, inspected.malformed]).toEqual([
        length,
        true,
        true,
        undefined,
      ]);
    }
  });
});

describe('a body of another type', () => {
  for (const type of [
    'text/xml',
    'application/soap+xml',
    'text/plain',
    'application/octet-stream',
    'x',
    '',
    'image',
    undefined,
  ]) {
    it(`is shown as text when its type is ${type === undefined ? 'missing' : `"${type}"`}`, async () => {
      const inspected = await inspect(`<a>${attack}</a>\0x`, ofType(type));
      expect(stringsOf(inspected.body)).toContain(`<a>${attack}</a>\0x`);
      expect(inspected).toMatchObject({ format: 'text', partial: false });
    });
  }

  it('is read as JSON too when it looks like JSON', async () => {
    for (const type of ['text/plain', undefined, 'application/octet-stream', ';;']) {
      const inspected = await inspect('{"a":"\\u003cscript>"}', ofType(type));
      expect(stringsOf(inspected.body)).toEqual(
        expect.arrayContaining(['<script>', '{"a":"\\u003cscript>"}']),
      );
    }
    expect((await inspect('[1]', [])).format).toBe('json');
  });

  it('is read as a form too when it looks like a form', async () => {
    for (const type of ['text/plain', undefined]) {
      expect(stringsOf((await inspect('a=%3Cscript%3E', ofType(type))).body)).toContain('<script>');
    }
    expect((await inspect('a=1', [])).format).toBe('form');
  });

  it('is read in every way that repeated types name', async () => {
    for (const headers of [
      [
        ['content-type', 'text/plain'],
        ['content-type', 'application/json'],
      ],
      [
        ['content-type', 'image/png'],
        ['content-type', 'application/json'],
      ],
      [['content-type', 'application/json, application/x-www-form-urlencoded']],
    ] satisfies HeaderList[]) {
      const inspected = await inspect('{"a":"\\u003cscript>"}', headers);
      expect(stringsOf(inspected.body)).toEqual(
        expect.arrayContaining(['<script>', '{"a":"\\u003cscript>"}']),
      );
      expect(inspected.malformed).toBe('content-type: several types');
    }
  });

  it('is shown in UTF-8 and in the charset it claims', async () => {
    const inspected = await inspect(Buffer.from(attack, 'utf16le'), ofType('text/plain; charset=UTF-16LE'));
    expect(stringsOf(inspected.body)).toContain(attack);
    const claimed = await inspect(attack, ofType('text/plain; charset=utf-16'));
    expect(stringsOf(claimed.body)).toContain(attack);
    expect(shows(await inspect(attack, ofType('text/plain; charset=nonsense')), attack)).toBe(true);
  });

  it('keeps text beside bytes that are no UTF-8', async () => {
    expect(shows(await inspect(Buffer.from([0xff, ...Buffer.from(attack), 0xc3]), []), attack)).toBe(true);
  });

  it('is skipped when it is binary by name and by content, and only then', async () => {
    expect(await inspect(Buffer.from([0x89, 0x50, 0, 1]), ofType('image/png'))).toMatchObject({
      body: undefined,
      format: 'binary',
    });
    expect(shows(await inspect(`{"a":"${attack}"}`, ofType('image/png')), attack)).toBe(true);
  });

  it('that is empty is nothing', async () => {
    expect(await inspect('', ofType('application/json'), 0)).toEqual({
      body: undefined,
      filenames: [],
      format: 'empty',
      partial: false,
      malformed: undefined,
    });
    expect(await inspect('', [], 10)).toMatchObject({ format: 'empty', partial: true });
    expect(await inspect('x', [], 1, 0)).toMatchObject({ format: 'empty', partial: true });
  });
});

describe('a compressed body', () => {
  const text = JSON.stringify({
    filler: Array.from({ length: 3000 }, (_, index) => (index * 7919) % 10007),
    a: attack,
  });
  const codings: [string, (data: Uint8Array | string) => Buffer][] = [
    ['gzip', gzipSync],
    ['x-gzip', gzipSync],
    ['GZip', gzipSync],
    ['deflate', deflateSync],
    ['deflate', deflateRawSync],
    ['br', brotliCompressSync],
    ['zstd', zstdCompressSync],
  ];
  for (const [coding, compress] of codings) {
    const headers = ofType('application/json', ['content-encoding', coding]);

    it(`is read in ${compress.name} (${coding})`, async () => {
      const inspected = await inspect(compress(text), headers);
      expect(inspected.body).toEqual(JSON.parse(text));
      expect(inspected).toMatchObject({ format: 'json', partial: false, malformed: undefined });
    });

    it(`that was cut in ${compress.name} (${coding}) is partial, not malformed`, async () => {
      const whole = compress(text);
      const inspected = await inspect(whole.subarray(0, whole.length - 9), headers, whole.length);
      expect(inspected).toMatchObject({ partial: true, malformed: undefined });
      expect(inspected.body).not.toBe(undefined);
      // A block of zstd cannot be read in part.
      if (coding !== 'zstd') expect(longestList(inspected.body)).toBeGreaterThan(2500);
    });

    it(`in ${compress.name} (${coding}) is stopped at the bound`, async () => {
      const bomb = compress(Buffer.concat([Buffer.from(attack), Buffer.alloc(50_000_000, ' ')]));
      const inspected = await inspect(bomb, ofType('text/plain', ['content-encoding', coding]));
      expect(inspected.partial).toBe(true);
      expect(Math.max(...stringsOf(inspected.body).map((found) => found.length))).toBe(
        limits.maxDecompressedBytes,
      );
      expect(shows(inspected, attack)).toBe(true);
    });

    it(`in ${compress.name} (${coding}) is read together with what follows it`, async () => {
      const inspected = await inspect(
        Buffer.concat([compress('{"a":"inside"}'), Buffer.from(attack)]),
        headers,
      );
      expect(shows(inspected, 'inside')).toBe(true);
      expect(shows(inspected, attack)).toBe(true);
      expect(inspected.malformed).toMatch(/^content-encoding: /);
    });
  }

  it('with a wrong checksum is read all the same', async () => {
    for (const [coding, compress] of [
      ['gzip', gzipSync],
      ['deflate', deflateSync],
    ] as const) {
      const bytes = compress(`{"a":"${attack}"}`);
      bytes[bytes.length - 6] = (bytes[bytes.length - 6] ?? 0) ^ 0x55;
      bytes[bytes.length - 3] = (bytes[bytes.length - 3] ?? 0) ^ 0x55;
      expect(
        shows(await inspect(bytes, ofType('application/json', ['content-encoding', coding])), attack),
      ).toBe(true);
    }
  });

  it('that is damaged gives what lies before the damage', async () => {
    const noise = Array.from({ length: 5000 }, (_, index) => (index * 7919) % 10007).join(' ');
    for (const [coding, compress] of codings.filter(([name]) => name !== 'zstd' && name !== 'br')) {
      const bytes = compress(`${attack} ${noise}`);
      bytes.fill(0xff, bytes.length - 200);
      expect(shows(await inspect(bytes, ofType('text/plain', ['content-encoding', coding])), attack)).toBe(
        true,
      );
    }
  });

  it('in several codings is read', async () => {
    const bytes = gzipSync(brotliCompressSync(text));
    expect(
      (await inspect(bytes, ofType('application/json', ['content-encoding', 'br, identity, gzip']))).body,
    ).toEqual(JSON.parse(text));
    expect(
      (
        await inspect(
          bytes,
          ofType('application/json', ['content-encoding', 'br'], ['content-encoding', 'gzip']),
        )
      ).body,
    ).toEqual(JSON.parse(text));
  });

  it('of several gzip members or zstd frames is read whole', async () => {
    for (const [coding, compress] of [
      ['gzip', gzipSync],
      ['zstd', zstdCompressSync],
    ] as const) {
      const bytes = Buffer.concat([compress('{"a":'), compress(`"${attack}"}`)]);
      const inspected = await inspect(bytes, ofType('application/json', ['content-encoding', coding]));
      expect(inspected).toMatchObject({ body: { a: attack }, malformed: undefined });
    }
  });

  it.each(['x-any, gzip', 'gzip, x-any', 'x-any; gzip, gzip;q=1', '"gzip"'])(
    'is read when the codings are %s',
    async (coding) => {
      const inspected = await inspect(
        gzipSync('{"a":"\\u003cscript>"}'),
        ofType('application/json', ['content-encoding', coding]),
      );
      expect(stringsOf(inspected.body)).toContain('<script>');
    },
  );

  it('that is not compressed in truth is read by its type all the same', async () => {
    for (const coding of [
      'gzip',
      'deflate',
      'br',
      'zstd',
      'compress',
      'nonsense',
      'gzip,gzip,gzip,gzip,gzip,gzip',
    ]) {
      const inspected = await inspect(
        '{"a":"\\u003cscript>"}',
        ofType('application/json', ['content-encoding', coding]),
      );
      expect([coding, stringsOf(inspected.body)]).toEqual([coding, expect.arrayContaining(['<script>'])]);
      // Some text is the beginning of Brotli or of raw deflate.
      expect(inspected.partial || inspected.malformed?.startsWith('content-encoding: ')).toBe(true);
    }
  });
});

describe('any bytes whatever', () => {
  const types = [
    undefined,
    'application/json',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=b',
    'multipart/form-data',
    'multipart/form-data; boundary="a\\"b"',
    'text/xml; charset=utf-16',
    'application/x-ndjson',
    'application/connect+json',
    'image/png',
    'application/json, text/plain',
    'text/plain; charset=utf-7',
    'x/y; boundary=',
    '"',
    'multipart/mixed; boundary=b; boundary=c',
  ];
  const codings = [undefined, 'gzip', 'deflate', 'br', 'zstd', 'gzip, br', ','];
  const token = fc.constantFrom(
    '--b',
    '\r\n',
    '\r\n--b\r\n',
    '--',
    'content-disposition: form-data; name="a"',
    '; filename="x"',
    'content-type: a/b; charset=base64',
    '\n',
    '{',
    '}',
    '[',
    ']',
    '"',
    ':',
    ',',
    '\\',
    '\\u',
    '00',
    '1',
    'e',
    'tru',
    'null',
    '=',
    '&',
    '%',
    '+',
    '\0',
    '\uFEFF',
    'é',
    ' ',
  );
  const body = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.array(token, { maxLength: 40 }).map((tokens) => Buffer.from(tokens.join(''))),
    fc.array(token, { maxLength: 20 }).map((tokens) => gzipSync(tokens.join(''))),
  );

  it('are read without an error, and if they are plain text no part of them is lost', async () => {
    await fc.assert(
      fc.asyncProperty(
        body,
        fc.constantFrom(...types),
        fc.constantFrom(...codings),
        fc.nat(300),
        async (bytes, type, coding, size) => {
          const headers = ofType(
            type,
            ...(coding === undefined ? [] : ([['content-encoding', coding]] satisfies [string, string][])),
          );
          const inspected = await inspect(bytes, headers, size);
          expect(inspected.format).toMatch(/^(json|form|multipart|text|binary|empty)$/);
          if (size > bytes.length) expect(inspected.partial).toBe(true);
        },
      ),
      { numRuns: 3000 },
    );
  });

  describe('are read with work in proportion to their length', () => {
    const hostile = [
      '"',
      '\\"',
      '{"a":',
      '[',
      '"a":',
      '{"a":1,"a":',
      '%',
      '&',
      '%ff&',
      '--b\r\n',
      '\r\n--b',
      '\r\n--b\r\n\r\n\r\n',
      '\\u',
      '=\r',
      '-',
      'a=',
      '<',
    ];
    it.each(types)('as %s', async (type) => {
      for (const unit of hostile) {
        const work = (size: number): unknown =>
          inspect(Buffer.from(unit.repeat(size)), ofType(type), undefined);
        expect(await growthOf(work, Math.ceil(6_000 / unit.length)), unit).toBeLessThan(inProportion);
      }
    });
  });
});
