/**
 * The parameters of a request target, as a server would read them.
 *
 * Ambiguous parts stay in the value, where they are inspected: a fragment, `;` (not a separator in the URL standard), invalid
 * escapes. Escapes that servers decode in different ways are read in each of these ways.
 */

/** Values by name, in the order received. Without a prototype: `__proto__` is a legal name. */
export type Parameters = Record<string, string[]>;

/**
 * Reads what follows the first `?`, whatever form the target has (RFC 9112, 3.2). Empty when there is no query.
 * Never throws.
 */
export function parseQuery(target: string): Parameters {
  const mark = target.indexOf('?');
  return mark === -1 ? Object.create(null) : parseUrlEncoded(target, mark + 1);
}

/**
 * `application/x-www-form-urlencoded` as the URL standard parses it: `+` is a space, a name without `=` has the
 * value '', bad escapes stay as they are beside good ones, bytes that are no UTF-8 become U+FFFD.
 */
export function parseUrlEncoded(text: string, from = 0): Parameters {
  const parameters: Parameters = Object.create(null);
  const isDoubtful = hasDoubtfulEscape(text);
  let start = from;
  while (start < text.length) {
    const ampersand = text.indexOf('&', start);
    const end = ampersand === -1 ? text.length : ampersand;
    if (end > start) addPair(parameters, text.slice(start, end), isDoubtful);
    start = end + 1;
  }
  return parameters;
}

/** Percent-escapes and `+` decoded, as far as they decode. Never throws. */
export function decodeUrlEncoded(text: string): string {
  const spaced = text.includes('+') ? text.replaceAll('+', ' ') : text;
  return decodePercent(spaced);
}

/** Percent-escapes decoded, as far as they decode; invalid UTF-8 becomes U+FFFD. Never throws. */
export function decodePercent(text: string): string {
  if (!text.includes('%')) return text;
  // Exceptions are slow, and hostile targets would consist of them.
  if (!mayNotDecode.test(text)) return decodeURIComponent(text);
  return text.replace(/(?:%[0-9a-fA-F]{2})+/g, (run) =>
    Buffer.from(run.replaceAll('%', ''), 'hex').toString(),
  );
}

/** A byte beyond ASCII, or a `%` without its two digits. */
const mayNotDecode = /%(?:[89a-fA-F]|(?![0-9a-fA-F]{2}))/;

function addPair(parameters: Parameters, pair: string, isDoubtful: boolean): void {
  const equals = pair.indexOf('=');
  const name = decodeUrlEncoded(equals === -1 ? pair : pair.slice(0, equals));
  const value = equals === -1 ? '' : decodeUrlEncoded(pair.slice(equals + 1));
  addValue(parameters, name, value);
  // Without `=` the name may be what an application takes for a value; rules look at values.
  if (equals === -1 && !plainName.test(name)) addValue(parameters, name, name);
  if (!isDoubtful) return;
  const raw = (equals === -1 ? pair : pair.slice(equals + 1)).replaceAll('+', ' ');
  for (const reading of doubtfulReadings(raw)) addValue(parameters, name, reading);
}

const plainName = /^[\w.~-]*$/;

function addValue(parameters: Parameters, name: string, value: string): void {
  const values = parameters[name];
  if (values === undefined) parameters[name] = [value];
  // A repeated value needs no second inspection, and padding must not use up the WAF's time.
  else if (values.at(-1) !== value) values.push(value);
}

/** Whether there are escapes that servers decode in different ways, see `doubtfulReadings`. */
export function hasDoubtfulEscape(text: string): boolean {
  return doubtfulEscape.test(text);
}

/** An escaped `%`, IIS's `%uXXXX`, UTF-8 of two or three bytes for a character that needs fewer. */
const doubtfulEscape = /%(?:25|u[0-9a-f]{4}|c[01]%[89ab]|e0%[89])/i;
const doubtfulUnits = /%u([0-9a-f]{4})|%c([01])%([89ab][0-9a-f])|%e0%([89][0-9a-f])%([89ab][0-9a-f])/gi;

/** How often escapes are decoded: once by every server, again by some applications. */
const maxRounds = 3;

/**
 * Readings of lenient servers beyond `decodePercent`: nested escapes decoded, up to three rounds in total, `%uXXXX` and
 * overlong UTF-8 accepted as characters. Does not include the text itself. Never throws.
 */
export function doubtfulReadings(raw: string): string[] {
  const readings: string[] = [];
  let text = raw;
  for (let round = 0; round < maxRounds; round += 1) {
    const decoded = decodePercent(text.replace(doubtfulUnits, doubtfulCharacter));
    if (decoded === text) break;
    // The first round of plain escapes is what everybody reads.
    if (round > 0 || decoded !== decodePercent(raw)) readings.push(decoded);
    text = decoded;
  }
  return readings;
}

function doubtfulCharacter(
  _: string,
  unit?: string,
  lead?: string,
  tail?: string,
  high = '',
  low = '',
): string {
  if (unit !== undefined) return String.fromCharCode(Number.parseInt(unit, 16));
  const bits = (digits: string): number => Number.parseInt(digits, 16) & 0x3f;
  if (lead !== undefined) return String.fromCharCode(Number(lead) * 64 + bits(tail ?? ''));
  return String.fromCharCode(bits(high) * 64 + bits(low));
}
