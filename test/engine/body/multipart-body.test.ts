import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type InspectedBody, inspectBody } from '../../../src/engine/body/inspect-body.ts';
import type { WafValue } from '../../../src/engine/waf/waf-value.ts';

const attack = "<script>'or 1=1--";
const limits = { maxBytes: 1_000_000, maxDecompressedBytes: 1_000_000 };

async function inspect(
  body: string | Uint8Array,
  type = 'multipart/form-data; boundary=bnd',
  declaredSize?: number,
): Promise<InspectedBody> {
  const bytes = typeof body === 'string' ? Buffer.from(body) : body;
  return inspectBody({ bytes, declaredSize }, [['content-type', type]], limits);
}

function part(headers: string, content: string): string {
  return `--bnd\r\n${headers}\r\n\r\n${content}\r\n`;
}

const field = (name: string, value: string): string =>
  part(`Content-Disposition: form-data; name="${name}"`, value);
const end = '--bnd--\r\n';

function shows(inspected: InspectedBody, text: string): boolean {
  const stack: (WafValue | undefined)[] = [inspected.body];
  while (stack.length > 0) {
    const item = stack.pop();
    if (typeof item === 'string' && item.includes(text)) return true;
    if (typeof item === 'object' && item !== null) for (const inner of Object.values(item)) stack.push(inner);
  }
  return false;
}

const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

describe('a multipart body', () => {
  it('gives its fields, repeated ones as well, and its file names', async () => {
    const file = part(
      'Content-Disposition: form-data; name="f"; filename="a/b.txt"\r\nContent-Type: text/plain',
      'content',
    );
    const inspected = await inspect(
      field('a', '1') + field('b', 'é') + field('a', '2\r\n3') + field('', '') + file + end,
    );
    expect(plain(inspected.body)).toEqual({ a: ['1', '2\r\n3'], b: ['é'], '': [''], f: ['content'] });
    expect(inspected).toMatchObject({
      format: 'multipart',
      partial: false,
      malformed: undefined,
      filenames: ['a/b.txt'],
    });
  });

  it('keeps the field name __proto__', async () => {
    expect(shows(await inspect(field('__proto__', attack) + end), attack)).toBe(true);
  });

  for (const [written, name] of [
    ['filename="../../etc/passwd"', '../../etc/passwd'],
    ['filename=plain.php', 'plain.php'],
    ["filename*=UTF-8''%3Cscript%3E.txt", '<script>.txt'],
    ['filename="a\\"b.php"', 'a"b.php'],
    ['filename="C:\\\\x\\\\y.php"', 'C:\\x\\y.php'],
    ['filename=""', ''],
    ['FILENAME="é.php"', 'é.php'],
  ] as const) {
    it(`reads the file name of ${written}`, async () => {
      const inspected = await inspect(
        part(`Content-Disposition: form-data; name="f"; ${written}`, 'x') + end,
      );
      expect(inspected.filenames).toEqual([name]);
    });
  }

  it('shows file names that can be read in two ways in both', async () => {
    const inspected = await inspect(
      part('Content-Disposition: form-data; name="f"; filename="shell.php"; filename="x.png"', 'x') + end,
    );
    expect(shows(inspected, 'shell.php')).toBe(true);
  });

  it('inspects files that are text, whatever they are called', async () => {
    for (const type of ['text/html', 'application/octet-stream', 'image/png', 'x/y', '']) {
      const inspected = await inspect(
        part(`Content-Disposition: form-data; name="f"; filename="f"\r\nContent-Type: ${type}`, attack) + end,
      );
      expect([type, shows(inspected, attack)]).toEqual([type, true]);
    }
  });

  it('skips files that are binary by name and by content, not fields', async () => {
    const image = await inspect(
      part('Content-Disposition: form-data; name="f"; filename="f"\r\nContent-Type: image/png', '\x89PNG\0') +
        end,
    );
    expect(plain(image.body)).toEqual({ f: [] });
    const named = await inspect(
      part('Content-Disposition: form-data; name="f"\r\nContent-Type: image/png', `\0${attack}`) + end,
    );
    expect(shows(named, attack)).toBe(true);
  });

  it('reads JSON in a part as JSON too', async () => {
    const inspected = await inspect(
      part(
        'Content-Disposition: form-data; name="f"\r\nContent-Type: application/json',
        '{"a":"\\u003cscript>"}',
      ) + end,
    );
    expect(shows(inspected, '<script>')).toBe(true);
  });

  it('undoes transfer encodings, and shows them as they are', async () => {
    const encoded = Buffer.from(attack).toString('base64');
    const base64 = await inspect(
      part('Content-Disposition: form-data; name="f"\r\nContent-Transfer-Encoding: base64', encoded) + end,
    );
    expect([shows(base64, attack), shows(base64, encoded)]).toEqual([true, true]);
    const quoted = await inspect(
      part(
        'Content-Disposition: form-data; name="f"\r\nContent-Transfer-Encoding: quoted-printable',
        '=3Cscr=\r\nipt>',
      ) + end,
    );
    expect(shows(quoted, '<script>')).toBe(true);
  });

  it('is not hidden by a charset of the sender’s choice', async () => {
    for (const charset of ['base64', 'utf-16le', 'hex', 'nonsense']) {
      expect(
        shows(
          await inspect(
            part(
              `Content-Disposition: form-data; name="f"\r\nContent-Type: text/plain; charset=${charset}`,
              attack,
            ) + end,
          ),
          attack,
        ),
      ).toBe(true);
    }
  });

  const odd: [string, string, string?][] = [
    ['no boundary', field('a', attack) + end, 'multipart/form-data'],
    ['another boundary', field('a', attack) + end, 'multipart/form-data; boundary=other'],
    ['two boundaries', field('a', attack) + end, 'multipart/form-data; boundary=other; boundary=bnd'],
    ['a continued boundary', field('a', attack) + end, 'multipart/form-data; boundary*0=b; boundary*1=nd'],
    [
      'a boundary of 5,000 characters',
      field('a', attack) + end,
      `multipart/form-data; boundary=${'b'.repeat(5000)}`,
    ],
    ['line ends of one byte', (field('a', attack) + end).replaceAll('\r\n', '\n')],
    ['a part without headers', `--bnd\r\n\r\n${attack}\r\n${end}`],
    ['a part without a disposition', part('X-Other: 1', attack) + end],
    ['a part that is an attachment', part('Content-Disposition: attachment; name="a"', attack) + end],
    ['a part without a name', part('Content-Disposition: form-data', attack) + end],
    ['headers without an end', `--bnd\r\nContent-Disposition: form-data; name="a"\r\n${attack}\r\n${end}`],
    [
      'a header that is an attack',
      part(`Content-Disposition: form-data; name="a"\r\nX-Other: ${attack}`, 'x') + end,
    ],
    ['a name with a line end', part(`Content-Disposition: form-data; name="a\nb"`, attack) + end],
    ['a blank before a header', part(` Content-Disposition: form-data; name="a"`, attack) + end],
    ['text before the first part', `${attack}\r\n${field('a', '1')}${end}`],
    ['text after the last part', field('a', '1') + end + attack],
    ['a part after the last part', `${field('a', '1') + end}\r\n${field('b', attack)}`],
    ['1,500 parts', field('a', '1').repeat(1500) + field('b', attack) + end],
    [
      'an inner multipart',
      part(
        'Content-Disposition: form-data; name="a"\r\nContent-Type: multipart/mixed; boundary=in',
        `--in\r\n\r\n${attack}\r\n--in--`,
      ) + end,
    ],
    [
      'another kind of multipart',
      `--bnd\r\nContent-Type: text/plain\r\n\r\n${attack}\r\n${end}`,
      'multipart/mixed; boundary=bnd',
    ],
    [
      '90,000 bytes of headers',
      part(`Content-Disposition: form-data; name="a"\r\nX: ${'x'.repeat(90_000)}`, attack) + end,
    ],
    [
      'bytes that are no UTF-8',
      `${part('Content-Disposition: form-data; name="a"', `\ud800${attack}`)}${end}`,
    ],
    ['JSON instead', `{"a":"${attack}"}`],
  ];
  for (const [what, body, type] of odd) {
    it(`shows an attack in spite of ${what}`, async () => {
      expect(shows(await inspect(body, type), attack)).toBe(true);
    });
  }

  it('with a quoted boundary is no different', async () => {
    const inspected = await inspect(
      `${field('a', '1').replace('--bnd', '--b"\\; d')}--b"\\; d--`,
      'multipart/form-data; boundary="b\\"\\\\; d"',
    );
    expect(plain(inspected.body)).toEqual({ a: ['1'] });
    expect(inspected.malformed).toBe(undefined);
  });

  it('that was cut is partial and not malformed, wherever the cut is', async () => {
    const bytes = Buffer.from(
      field('a', 'é') +
        part(
          'Content-Disposition: form-data; name="f"; filename="x.txt"\r\nContent-Type: text/plain',
          'abc\r\n--bn',
        ) +
        field('z', '') +
        end.trimEnd(),
    );
    for (let length = 1; length < bytes.length; length += 1) {
      const inspected = await inspect(bytes.subarray(0, length), undefined, bytes.length);
      expect([length, inspected.partial, inspected.malformed]).toEqual([length, true, undefined]);
    }
  });

  it('that was cut gives every attack that lies before the cut', async () => {
    const before = `${field('a', '1')}--bnd\r\nContent-Disposition: form-data; name="b"\r\n\r\n${attack}`;
    const bytes = Buffer.from(`${before} and more\r\n${field('c', 'x')}${end}`);
    for (let length = Buffer.byteLength(before); length < bytes.length; length += 1) {
      expect([
        length,
        shows(await inspect(bytes.subarray(0, length), undefined, bytes.length), attack),
      ]).toEqual([length, true]);
    }
  });

  it('of any pieces never loses an attack that a recipient may see', async () => {
    const piece = fc.constantFrom(
      '--bnd',
      '--bnd\r\n',
      '--bnd--',
      '--bnd--\r\n',
      '\r\n',
      '\n',
      '\r',
      '-',
      '--',
      ' ',
      'Content-Disposition: form-data; name="a"',
      '; filename="f"',
      '"',
      'Content-Type: text/plain',
      'Content-Type: image/png',
      'Content-Disposition: form-data',
      '\r\n\r\n',
      '\r\n--bnd\r\n',
      'x',
      ':',
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(piece, { maxLength: 12 }),
        fc.array(piece, { maxLength: 12 }),
        async (before, after) => {
          const inspected = await inspect(`${before.join('')}${attack}${after.join('')}`);
          const isInHeader =
            inspected.filenames.some((name) => name.includes(attack)) ||
            Object.keys(firstOf(inspected.body)).some((name) => name.includes(attack));
          expect(isInHeader || shows(inspected, attack)).toBe(true);
        },
      ),
      { numRuns: 4000 },
    );
  });
});

function firstOf(value: WafValue | undefined): object {
  const first = Array.isArray(value) ? value[0] : value;
  return typeof first === 'object' && first !== null ? first : {};
}
