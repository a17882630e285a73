import { decodePercent, doubtfulReadings, hasDoubtfulEscape, type Parameters } from './query.ts';

/**
 * Cookies of a request: values by name, from all Cookie fields, in the order received.
 *
 * Servers disagree about cookies (RFC 6265 splits at every `;`, RFC 2109 not inside quotes; some decode escapes, some
 * do not), so a value that can be read in several ways is listed in each of them.
 *
 * @param fields the values of the Cookie fields
 */
export function parseCookies(fields: readonly string[]): Parameters {
  const cookies: Parameters = Object.create(null);
  for (const field of fields) {
    let start = 0;
    while (start < field.length) {
      const semicolon = field.indexOf(';', start);
      const end = semicolon === -1 ? field.length : semicolon;
      addCookie(cookies, field, start, end);
      start = end + 1;
    }
  }
  return cookies;
}

function addCookie(cookies: Parameters, field: string, start: number, end: number): void {
  const pair = field.slice(start, end);
  const equals = pair.indexOf('=');
  // A cookie without `=` is a value without a name (RFC 6265bis, 5.6); rules look at values.
  const name = equals === -1 ? '' : pair.slice(0, equals).trim();
  const value = equals === -1 ? pair.trim() : pair.slice(equals + 1).trim();
  if (value === '' && equals === -1) return;
  if (value.startsWith('"')) {
    addQuoted(cookies, name, value, field, start, end);
    return;
  }
  addValue(cookies, name, value);
}

function addQuoted(
  cookies: Parameters,
  name: string,
  value: string,
  field: string,
  start: number,
  end: number,
): void {
  addValue(cookies, name, value.endsWith('"') && value.length > 1 ? value.slice(1, -1) : value);
  if (value.includes('"', 1)) return;
  // The quotation extends past the `;`: add it as a whole, besides its parts.
  const open = field.indexOf('"', start);
  const close = field.indexOf('"', end);
  if (close !== -1) addValue(cookies, name, field.slice(open + 1, close));
}

function addValue(cookies: Parameters, name: string, raw: string): void {
  let values = cookies[name];
  if (values === undefined) {
    values = [];
    cookies[name] = values;
  }
  if (!raw.includes('%') && !raw.includes('\\')) {
    values.push(raw);
    return;
  }
  const decoded = decodePercent(raw);
  // Escapes that did not decode: a server may have left all of them alone.
  if (decoded === raw || decoded.includes('%') || decoded.includes('\ufffd')) values.push(raw);
  if (decoded !== raw) values.push(decoded);
  if (hasDoubtfulEscape(raw)) values.push(...doubtfulReadings(raw));
  const unescaped = unescapeQuoted(raw);
  if (unescaped !== raw) values.push(unescaped);
}

/** Backslash escapes of a quoted string, octal ones included (Python's http.cookies writes them). */
function unescapeQuoted(text: string): string {
  if (!text.includes('\\')) return text;
  return text.replace(/\\([0-3][0-7]{2}|[\s\S])/g, (_, escaped: string) =>
    escaped.length === 3 ? String.fromCharCode(Number.parseInt(escaped, 8)) : escaped,
  );
}
