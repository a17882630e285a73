import { parseUrlEncoded } from '../query.ts';
import type { WafValue } from '../waf/waf-value.ts';
import { isBinaryType } from './body-policy.ts';
import { charsetsOf, decodeCharset } from './charset.ts';
import { withoutEnvelopes } from './connect-envelopes.ts';
import type { InspectedBody } from './inspected-body.ts';
import { looksLikeJson, maxParsedValues, parseJson } from './json-body.ts';
import { connectJsonType, formType, isJsonSequenceType, isJsonType, type MediaType } from './media-type.ts';
import { type MultipartPart, type ParsedMultipart, parseMultipart } from './multipart-body.ts';
import { looksLikeText, rawTexts, readText } from './text.ts';

/*
 * Reads the values that an application would take from the bytes of one body.
 *
 * Where it is not certain what the application would do (no type, several types, a type that the bytes do not bear
 * out), the body is read in each of the ways in question, and the raw text is always among them. `body` is then a
 * list of the readings. The table in docs/security.md says it all.
 */

type Format = InspectedBody['format'];

/** Collects the readings of one body. `inspect` may be called for several versions of the bytes. */
export class BodyReading {
  partial = false;
  malformed: string | undefined;
  readonly #type: MediaType;
  readonly #values: WafValue[] = [];
  readonly filenames: string[] = [];
  /** Raw texts that are already among the values. */
  readonly #texts = new Set<string>();

  constructor(type: MediaType) {
    this.#type = type;
  }

  inspect(bytes: Uint8Array): InspectedBody | Promise<InspectedBody> {
    const { essence, essences, boundaries, charset } = this.#type;
    if (bytes.length === 0) return this.result('empty');
    const multipart = essences.some((item) => item.startsWith('multipart/'));
    if (multipart && boundaries.length > 0) return this.#inspectMultipart(bytes);
    if (essence !== undefined && isBinaryType(essence) && !looksLikeText(bytes)) return this.result('binary');
    if (essence === undefined && essences.length > 1) this.#complain('content-type: several types');
    const complaint = this.malformed;
    let format: Format = 'text';
    let isBorneOut = false;
    const content = essences.includes(connectJsonType) ? withoutEnvelopes(bytes) : bytes;
    for (const text of readText(content, charset)) {
      this.malformed = complaint;
      const found = this.#inspectText(text);
      if (this.malformed === complaint) isBorneOut = true;
      if (found !== 'text') format = found;
    }
    if (essences.includes(formType)) {
      for (const name of charsetsOf(charset)) this.#addEscapedIn(bytes, name);
    }
    // In one of the charsets in question there was nothing wrong.
    if (isBorneOut) this.malformed = complaint;
    if (multipart) this.#complain('multipart: no boundary');
    return this.result(format);
  }

  /** Raw text of bytes, besides whatever else is read from them. */
  addRaw(bytes: Uint8Array): void {
    for (const text of readText(bytes, undefined)) this.#addTexts(text);
  }

  result(format: Format): InspectedBody {
    return {
      body: this.#values.length > 1 ? this.#values : this.#values[0],
      filenames: this.filenames,
      format,
      partial: this.partial,
      malformed: this.malformed,
    };
  }

  #inspectText(text: string): Format {
    const { essence, essences } = this.#type;
    let format: Format = 'text';
    for (const item of essences) {
      if (isJsonType(item) || isJsonSequenceType(item)) {
        format = 'json';
        this.#addJson(text, isJsonSequenceType(item), true);
      } else if (item === formType) {
        format = 'form';
        this.#addForm(text);
      }
    }
    // One type that says all, and was borne out.
    if (essence !== undefined && format !== 'text') return format;
    this.#addTexts(text);
    if (format !== 'text') return format;
    if (looksLikeJson(text)) {
      if (this.#addJson(text, false, false) && essences.length === 0) return 'json';
    } else if (looksLikeForm(text)) {
      this.#values.push(parseUrlEncoded(text));
      if (essences.length === 0) return 'form';
    }
    return 'text';
  }

  /** Returns whether the text is JSON, or the beginning of it. */
  #addJson(text: string, severalDocuments: boolean, isDeclared: boolean): boolean {
    const parsed = parseJson(text.startsWith('\uFEFF') ? text.slice(1) : text, severalDocuments);
    if (parsed.value !== undefined) this.#values.push(parsed.value);
    if (parsed.malformed === undefined) {
      if (isDeclared && parsed.cut) this.partial = true;
      return true;
    }
    if (!isDeclared) return false;
    this.#complain(parsed.malformed);
    this.#addTexts(text);
    if (looksLikeForm(text)) this.#values.push(parseUrlEncoded(text));
    return false;
  }

  #addForm(text: string): void {
    if (countPairs(text) > maxParsedValues) {
      this.#complain(`form of more than ${maxParsedValues} fields: inspected as text`);
      this.#addTexts(text);
      return;
    }
    this.#values.push(parseUrlEncoded(text));
    if (looksLikeJson(text) || /^\s*</.test(text.slice(0, 1024))) {
      this.#complain('form: the body looks like JSON or XML');
      this.#addTexts(text);
      if (looksLikeJson(text)) this.#addJson(text, false, false);
    } else if (hasBareName(text)) {
      // A name without a value may be all there is, and rules look at values.
      this.#addTexts(text);
    }
  }

  /** Names and values of a form whose escapes stand for bytes of another charset, as servlets read them. */
  #addEscapedIn(bytes: Uint8Array, charset: string): void {
    const text = Buffer.from(bytes).toString('latin1');
    if (!text.includes('%') || countPairs(text) > maxParsedValues) return;
    for (const pair of text.split('&')) {
      const equals = pair.indexOf('=');
      for (const item of equals === -1 ? [pair] : [pair.slice(0, equals), pair.slice(equals + 1)]) {
        const unescaped = item.replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) =>
          String.fromCharCode(Number.parseInt(hex, 16)),
        );
        const value = decodeCharset(Buffer.from(unescaped, 'latin1'), charset);
        if (value !== undefined) this.#values.push(value);
      }
    }
  }

  #addTexts(text: string): void {
    for (const item of rawTexts(text)) {
      if (this.#texts.has(item) || item === '') continue;
      this.#texts.add(item);
      this.#values.push(item);
    }
  }

  #complain(reason: string): void {
    this.malformed ??= reason;
  }

  async #inspectMultipart(bytes: Uint8Array): Promise<InspectedBody> {
    const { essence, boundaries } = this.#type;
    let needsRaw = essence === undefined || boundaries.length > 1;
    if (boundaries.length > 1) this.#complain('multipart: several boundaries');
    for (const boundary of boundaries.slice(0, 4)) {
      const parsed = await parseMultipart(bytes, boundary);
      if (parsed.cut) this.partial = true;
      if (parsed.lost !== undefined) {
        needsRaw = true;
        // Whatever is missing from a body that was cut off may be missing because of that.
        if (!parsed.cut) this.#complain(parsed.lost);
      }
      this.#addParts(parsed);
    }
    if (needsRaw) this.addRaw(bytes);
    return this.result('multipart');
  }

  #addParts(parsed: ParsedMultipart): void {
    const charsets = [...parsed.charsets, this.#type.charset].flatMap(charsetsOf);
    const fields: Record<string, WafValue[]> = Object.create(null);
    for (const part of parsed.parts) {
      if (part.filename !== undefined) this.filenames.push(part.filename);
      fields[part.name] ??= [];
      fields[part.name]?.push(...partValues(part, charsets));
    }
    this.#values.push(fields);
    for (const block of parsed.oddHeaders) this.#values.push(...rawTexts(block));
  }
}

/** What one part may be taken for. Nothing for files that are binary both by name and by content. */
function partValues(part: MultipartPart, charsets: readonly string[]): WafValue[] {
  const { content, filename, type, transferEncoding } = part;
  if (filename !== undefined && isBinaryType(type) && !looksLikeText(content)) return [];
  const texts = readText(content, undefined);
  for (const charset of charsets) texts.push(decodeCharset(content, charset) ?? '');
  const decoded = decodeTransfer(content, transferEncoding);
  if (decoded !== undefined) texts.push(...readText(decoded, undefined));
  const values: WafValue[] = [...texts];
  if (isJsonType(type)) {
    for (const text of texts) {
      const { value } = parseJson(text);
      if (typeof value === 'object' && value !== null) values.push(value);
    }
  }
  return values;
}

/** Content-Transfer-Encoding is deprecated in forms (RFC 7578, 4.7); some servers still undo it. */
function decodeTransfer(content: Uint8Array, encoding: string): Uint8Array | undefined {
  const text = (): string => Buffer.from(content).toString('latin1');
  if (encoding === 'base64') return Buffer.from(text(), 'base64');
  if (encoding !== 'quoted-printable') return undefined;
  const decoded = text()
    .replace(/=[\t ]{0,8}\r?\n/g, '')
    .replace(/=([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(decoded, 'latin1');
}

function looksLikeForm(text: string): boolean {
  return countPairs(text) <= maxParsedValues && /^[^\s=]{0,256}=/.test(text.slice(0, 257));
}

function countPairs(text: string): number {
  let count = 1;
  for (let at = text.indexOf('&'); at !== -1; at = text.indexOf('&', at + 1)) count += 1;
  return count;
}

/** Whether some pair of a form lacks its `=`. */
function hasBareName(text: string): boolean {
  let start = 0;
  while (start < text.length) {
    const ampersand = text.indexOf('&', start);
    const end = ampersand === -1 ? text.length : ampersand;
    if (end > start && !text.slice(start, end).includes('=')) return true;
    start = end + 1;
  }
  return false;
}
