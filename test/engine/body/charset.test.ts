import { describe, expect, it } from 'vitest';
import { decodeCharset } from '../../../src/engine/body/charset.ts';
import { type InspectedBody, inspectBody } from '../../../src/engine/body/inspect-body.ts';
import { readXmlText } from '../../../src/engine/body/xml-text.ts';
import type { WafValue } from '../../../src/engine/waf/waf-value.ts';
import { growthOf, inProportion } from '../../support/growth.ts';

const attack = "<script>'or 1=1--";

async function inspect(body: Buffer | string, type: string): Promise<InspectedBody> {
  const limits = { maxBytes: 100_000, maxDecompressedBytes: 1_000_000 };
  return inspectBody({ bytes: Buffer.from(body), declaredSize: undefined }, [['content-type', type]], limits);
}

function utf32(text: string, isLittleEndian: boolean): Buffer {
  const bytes = Buffer.alloc(4 * text.length);
  for (let index = 0; index < text.length; index += 1) {
    if (isLittleEndian) bytes.writeUInt32LE(text.charCodeAt(index), 4 * index);
    else bytes.writeUInt32BE(text.charCodeAt(index), 4 * index);
  }
  return bytes;
}

/** Whether some value, no key, holds the text. */
function shows(value: WafValue | undefined, text: string): boolean {
  if (typeof value === 'string') return value.includes(text);
  return (
    typeof value === 'object' && value !== null && Object.values(value).some((item) => shows(item, text))
  );
}

describe('a charset', () => {
  it.each([
    ['utf-7', "+ADw-ab+AD4- +AOnYPd4AACs-x+-'+", "<ab> \u00e9\u{1f600}+x+'+"],
    ['unicode-1-1-utf-7', '1+AD0-1', '1=1'],
  ])('%s is decoded', (label, text, decoded) => {
    expect(decodeCharset(Buffer.from(text), label)).toBe(decoded);
  });

  it.each(['ibm037', 'cp500', 'ibm-1047', 'ebcdic-cp-us'])('%s is decoded as EBCDIC', (label) => {
    const bytes = Buffer.from('4c814082 7e7f837f6ef17d40d6d9404df25d6ef05e6060ff'.replaceAll(' ', ''), 'hex');
    expect(decodeCharset(bytes, label)).toBe('<a b="c">1\' OR (2)>0;--\ufffd');
  });

  it('UTF-32 is decoded in both orders of bytes, up to where it is cut off', () => {
    for (const isLittleEndian of [true, false]) {
      const bytes = Buffer.concat([utf32('a<', isLittleEndian), Buffer.from([0])]);
      expect(decodeCharset(bytes, 'utf-32')).toBe('a<');
    }
    expect(decodeCharset(Buffer.from([0x10, 0x11, 0, 0, 0, 0, 0, 0]), 'utf-32le')).toBe('\u1110\0');
    expect(decodeCharset(Buffer.from([0, 0xff, 0, 0, 0, 0, 0, 0x41]), 'utf-32')).toBe('\ufffdA');
  });

  it('that nobody knows is none', () => {
    expect(decodeCharset(Buffer.from('a'), 'klingon')).toBeUndefined();
  });

  it.each([
    ['utf-7', '+'],
    ['utf-7', '+AD0'],
    ['utf-32', '\0'],
    ['cp037', '\x81'],
  ])('%s of many times %j is decoded with work in proportion to its length', async (label, unit) => {
    const work = (size: number): unknown => decodeCharset(Buffer.alloc(size, unit, 'latin1'), label);
    expect(await growthOf(work, 60_000)).toBeLessThan(inProportion);
  });
});

describe('an attack is shown', () => {
  const json = JSON.stringify({ a: attack });
  const utf7 = attack.replace('<', '+ADw-').replace('=', '+AD0-');
  it.each<[string, string, Buffer | string]>([
    ['in UTF-32 (BE) that nobody declares', 'application/json', utf32(json, false)],
    ['in UTF-32 (LE) that nobody declares', 'application/json', utf32(json, true)],
    ['in UTF-32 (LE) by its byte order mark', 'text/plain', utf32(`\ufeff${attack}`, true)],
    ['in UTF-32 (BE) by its byte order mark', 'text/plain', utf32(`\ufeff${attack}`, false)],
    ['in UTF-16 that begins like UTF-32', 'text/plain', Buffer.from(`a\0${attack}`, 'utf16le')],
    [
      'in UTF-16 with a mark that begins like UTF-32',
      'text/plain',
      Buffer.from(`\ufeff\0${attack}`, 'utf16le'),
    ],
    [
      'in UTF-7 behind the mark of UTF-16',
      'text/plain; charset=utf-7',
      Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(utf7)]),
    ],
    ['in XML that calls itself UTF-7', 'text/xml', `<?xml version='1.0' encoding='UTF-7'?><a>${utf7}</a>`],
    ['in XML by references', 'text/xml', '<a>&lt;script&gt;&#39;or&#32;1&#x3D;1--</a>'],
    ['in XML that nobody calls so', 'x/y', ' <a b="&lt;script>&#39;or 1=1--"/>'],
    ['in XML, torn apart', 'text/xml', "<a><![CDATA[<script>']]>or<!-- --> 1=1--</a>"],
    ['in escapes of JSON5', 'application/json', "{a:'\\x3cscript>\\'or 1=1--'}"],
  ])('%s', async (_what, type, body) => {
    expect(shows((await inspect(body, type)).body, attack)).toBe(true);
  });

  it.each(['utf-16be', 'utf-16le', 'utf-16'])('in escapes of a form in %s', async (charset) => {
    const bytes = Buffer.from(attack, 'utf16le');
    if (charset !== 'utf-16le') bytes.swap16();
    const body = `b=1&a=${bytes.toString('hex').replace(/../g, '%$&')}&c`;
    const { body: values } = await inspect(body, `application/x-www-form-urlencoded; charset=${charset}`);
    expect(shows(values, attack)).toBe(true);
  });

  it.each(['utf-16le', 'utf-7', 'x"; charset="utf-16le'])('in a part of a form in %s', async (charset) => {
    const text = `\u4e00${charset === 'utf-7' ? utf7 : attack}`;
    const content = Buffer.from(text, charset === 'utf-7' ? 'utf8' : 'utf16le');
    const head = `content-disposition: form-data; name="a"\r\ncontent-type: text/plain; charset="${charset}"`;
    const parts = [Buffer.from(`--zz\r\n${head}\r\n\r\n`), content, Buffer.from('\r\n--zz--\r\n')];
    const { body } = await inspect(Buffer.concat(parts), 'multipart/form-data; boundary=zz');
    expect(shows(body, attack)).toBe(true);
  });
});

describe('the text of XML', () => {
  it.each([
    ['<a>b</a>', '<a>b</a>'],
    ['&amp;lt;&#0;&#x110000;&nbsp;&#;', '&lt;\0&#x110000;&nbsp;&#;'],
    ['a<!--b--><!---->c<!--d', 'ac<!--d'],
    ['<![CDATA[a]]>b]]>', 'ab'],
  ])('of %s is %s', (xml, text) => {
    expect(readXmlText(xml)).toBe(text);
  });

  it.each(['<!--', '&#', '&', '<![CDATA[', ']]', '<!---->'])(
    'with many times %j is read with work in proportion to its length',
    async (hostile) => {
      const work = (size: number): unknown => readXmlText(`<${hostile.repeat(size)}&<!`);
      expect(await growthOf(work, 20_000)).toBeLessThan(inProportion);
    },
  );
});
