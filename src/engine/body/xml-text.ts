/**
 * XML as its readers see the text in it: comments and the marks of CDATA sections left out, references to characters
 * replaced. Entities that the document defines stay. Tags stay too: attributes are in them. Never throws.
 */
export function readXmlText(xml: string): string {
  if (!xml.includes('&') && !xml.includes('<!')) return xml;
  return withoutComments(xml).replaceAll(cdataMark, '').replace(reference, character);
}

const cdataMark = /<!\[CDATA\[|\]\]>/g;
const reference = /&(?:#(\d{1,7})|#x([0-9a-fA-F]{1,6})|(lt|gt|amp|quot|apos));/g;
const named: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };

function character(whole: string, decimal?: string, hex?: string, name?: string): string {
  if (name !== undefined) return named[name] ?? whole;
  const code = decimal === undefined ? Number.parseInt(hex ?? '', 16) : Number(decimal);
  return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
}

/** In linear time: a regular expression would look for the end of every beginning. */
function withoutComments(xml: string): string {
  let text = '';
  let from = 0;
  for (let start = xml.indexOf('<!--'); start !== -1; start = xml.indexOf('<!--', from)) {
    const end = xml.indexOf('-->', start + 4);
    if (end === -1) break;
    text += xml.slice(from, start);
    from = end + 3;
  }
  return text + xml.slice(from);
}
