/**
 * The parameters of a request target, as a server would read them.
 *
 * What is in doubt stays in the value, where it is inspected: a fragment, `;` (no separator, as in the URL standard),
 * escapes that do not decode.
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
  let start = from;
  while (start < text.length) {
    const ampersand = text.indexOf('&', start);
    const end = ampersand === -1 ? text.length : ampersand;
    if (end > start) addPair(parameters, text.slice(start, end));
    start = end + 1;
  }
  return parameters;
}

/** Percent-escapes and `+` decoded, as far as they decode. Never throws. */
export function decodeUrlEncoded(text: string): string {
  const spaced = text.includes('+') ? text.replaceAll('+', ' ') : text;
  return decodePercent(spaced);
}

/** Percent-escapes decoded, as far as they decode; what is no UTF-8 becomes U+FFFD. Never throws. */
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

function addPair(parameters: Parameters, pair: string): void {
  const equals = pair.indexOf('=');
  const name = decodeUrlEncoded(equals === -1 ? pair : pair.slice(0, equals));
  const value = equals === -1 ? '' : decodeUrlEncoded(pair.slice(equals + 1));
  const values = parameters[name];
  if (values === undefined) parameters[name] = [value];
  // What was said already needs no second look, and padding must not use up the WAF's time.
  else if (values.at(-1) !== value) values.push(value);
}
