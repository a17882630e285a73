import type { Application, BodyChunk, HeaderList, RequestHead, ResponseHead } from '../../engine/http.ts';
import { type SpoeMessage, type SpopError, type TypedData, typedText } from '../../spop/index.ts';
import { argumentNames } from './contract.ts';
import { parseHaproxyTime } from './haproxy-time.ts';
import { decodeHdrsBin } from './hdrs-bin.ts';
import { type Identity, parseIdentity } from './identity.ts';

/** The arguments of one message by name. Missing, null and mistyped ones are all absent: none is required. */
export class MessageArguments {
  readonly #values = new Map<string, TypedData>();
  /** What was wrong with an argument that is used all the same. */
  readonly problems: SpopError[] = [];

  constructor(message: SpoeMessage) {
    for (const { name, value } of message.args) this.#values.set(name, value);
  }

  text(name: string): string | undefined {
    const value = this.#values.get(name);
    return value === undefined ? undefined : typedText(value);
  }

  bytes(name: string): Buffer | undefined {
    const value = this.#values.get(name);
    return value?.type === 'binary' || value?.type === 'string' ? value.value : undefined;
  }

  /** Integers, and digits as text. */
  integer(name: string): number | undefined {
    const value = this.#values.get(name)?.value;
    if (typeof value === 'number') return value;
    const digits = this.text(name);
    return digits !== undefined && /^\d{1,15}$/.test(digits) ? Number(digits) : undefined;
  }

  boolean(name: string): boolean {
    const value = this.#values.get(name)?.value;
    return value === true || value === 1;
  }

  address(name: string): string | undefined {
    const value = this.#values.get(name);
    return value?.type === 'ipv4' || value?.type === 'ipv6' ? value.value : this.text(name);
  }

  /** A header list that is cut off counts as far as it goes. */
  headers(): HeaderList {
    const bytes = this.bytes(argumentNames.headers);
    if (bytes === undefined) return [];
    const { headers, problem } = decodeHdrsBin(bytes);
    if (problem !== undefined) this.problems.push(problem);
    return headers;
  }

  requestHead(): RequestHead {
    return {
      method: this.text(argumentNames.method) ?? '',
      target: this.text(argumentNames.path) ?? '',
      headers: this.headers(),
      peerAddress: this.address(argumentNames.ip),
      peerPort: this.integer(argumentNames.ipPort),
      https: this.boolean(argumentNames.https),
      declaredBodySize: this.#declaredSize(),
      bodyIsStream: this.boolean(argumentNames.stream),
      application: this.#application(),
    };
  }

  responseHead(): ResponseHead {
    return {
      status: this.integer(argumentNames.status) ?? 0,
      headers: this.headers(),
      application: this.#application(),
    };
  }

  bodyChunk(): BodyChunk {
    return {
      bytes: this.bytes(argumentNames.body) ?? new Uint8Array(),
      declaredSize: this.#declaredSize(),
      application: this.#application(),
    };
  }

  /** Undefined when there is none, or when it is none of ours. */
  identity(): Identity | undefined {
    const text = this.text(argumentNames.spanId);
    return text === undefined ? undefined : parseIdentity(text);
  }

  timeToLiveMs(): number | undefined {
    const time = this.text(argumentNames.timeout);
    const durationMs = time === undefined ? this.integer(argumentNames.timeout) : parseHaproxyTime(time);
    return durationMs !== undefined && durationMs > 0 ? durationMs : undefined;
  }

  #application(): Application | undefined {
    // An empty name is none: a map or a variable that found nothing.
    const service = this.text(argumentNames.service) || undefined;
    const environment = this.text(argumentNames.environment) || undefined;
    const version = this.text(argumentNames.version) || undefined;
    const mode = this.text(argumentNames.mode) || undefined;
    if (service === undefined && environment === undefined && version === undefined && mode === undefined) {
      return undefined;
    }
    return { service, environment, version, reportOnly: mode === 'report' };
  }

  #declaredSize(): number | undefined {
    const size = this.integer(argumentNames.bodySize);
    return size !== undefined && size > 0 ? size : undefined;
  }
}
