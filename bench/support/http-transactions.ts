// The traffic of the benchmark, as HTTP. Always the same: numbers come from a generator with a fixed seed.
import type { HeaderList } from '../../src/engine/http.ts';
import { attack } from './attacks.ts';

export interface HttpTransaction {
  readonly method: string;
  readonly target: string;
  readonly headers: HeaderList;
  readonly body?: string;
  readonly status: number;
  readonly responseHeaders: HeaderList;
  readonly responseBody?: string;
}

/**
 * `mix`: what a shop sees. `clean`: pages and assets, request and response headers only. `json-15k`: API calls with
 * bodies of 15 KB. `small`: the least a client sends, for the memory of very many transactions.
 */
export type MixName = 'mix' | 'clean' | 'json-15k' | 'small';

export const mixNames: readonly MixName[] = ['mix', 'clean', 'json-15k', 'small'];

/** A round of different transactions in a shuffled order; a load begins it again and again. */
export function transactionsOf(mix: MixName): HttpTransaction[] {
  const random = new Random(20_260_101);
  return random.shuffled(
    shares[mix].flatMap(([count, make]) => Array.from({ length: count }, () => make(random))),
  );
}

type Make = (random: Random) => HttpTransaction;

/** Of `mix`, in percent: 72 browser GETs, 6 API reads, 20 API calls with a body (12, 5 and 3), 2 attacks. */
const shares: Readonly<Record<MixName, readonly (readonly [number, Make])[]>> = {
  mix: [
    [104, page],
    [40, asset],
    [12, apiRead],
    [24, (random) => apiCall(random, 500)],
    [10, (random) => apiCall(random, 5000)],
    [6, (random) => apiCall(random, 15_000)],
    [4, (random) => attack(random, page(random), apiCall(random, 500))],
  ],
  clean: [
    [75, page],
    [25, asset],
  ],
  'json-15k': [[20, (random) => apiCall(random, 15_000)]],
  small: [[50, small]],
};

function page(random: Random): HttpTransaction {
  return {
    method: 'GET',
    target: `/catalog/${random.word()}/${random.word()}?page=${random.below(40)}&sort=price&session_ref=${random.hex(24)}`,
    headers: [
      ...browserHeaders(random),
      ['accept', 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8'],
    ],
    status: 200,
    responseHeaders: [
      ...responseHeaders(random),
      ['content-type', 'text/html; charset=utf-8'],
      ['content-length', '48213'],
    ],
  };
}

function asset(random: Random): HttpTransaction {
  return {
    method: 'GET',
    target: `/static/${random.hex(8)}/${random.word()}.js`,
    headers: [...browserHeaders(random), ['accept', '*/*']],
    status: random.below(3) === 0 ? 304 : 200,
    responseHeaders: [
      ...responseHeaders(random),
      ['content-type', 'text/javascript'],
      ['content-length', '18021'],
    ],
  };
}

function apiRead(random: Random): HttpTransaction {
  const body = jsonOf(random, 1500);
  return {
    method: 'GET',
    target: `/api/v2/orders/${random.below(1_000_000)}?expand=lines`,
    headers: [...browserHeaders(random), ['accept', 'application/json']],
    status: 200,
    responseHeaders: [...responseHeaders(random), ...jsonHeaders(body)],
    responseBody: body,
  };
}

/** The answer to every second one is JSON, which is inspected too. */
function apiCall(random: Random, bytes: number): HttpTransaction {
  const body = jsonOf(random, bytes);
  const answer = jsonOf(random, 300);
  const call = {
    method: 'POST',
    target: `/api/v2/${random.word()}/import`,
    headers: [...browserHeaders(random), ...jsonHeaders(body), ['accept', 'application/json'] as const],
    body,
  };
  if (random.below(2) === 0) return { ...call, status: 204, responseHeaders: responseHeaders(random) };
  const headers = [...responseHeaders(random), ...jsonHeaders(answer)];
  return { ...call, status: 200, responseHeaders: headers, responseBody: answer };
}

function small(random: Random): HttpTransaction {
  return {
    method: 'GET',
    target: `/health/${random.below(1000)}`,
    headers: [
      ['host', 'shop.example'],
      ['user-agent', 'curl/8.5.0'],
      ['accept', '*/*'],
    ],
    status: 200,
    responseHeaders: [['content-type', 'text/plain']],
  };
}

/** About 1,100 bytes. */
function browserHeaders(random: Random): HeaderList {
  return [
    ['host', 'shop.example'],
    [
      'user-agent',
      `Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/14${random.below(10)}.0.${random.below(9000)}.${random.below(200)} Safari/537.36 Edg/14${random.below(10)}.0.${random.below(4000)}.${random.below(100)}`,
    ],
    ['accept-language', 'en-GB,en;q=0.9,de-DE;q=0.8,de;q=0.7'],
    ['accept-encoding', 'gzip, deflate, br, zstd'],
    ['referer', `https://shop.example/catalog/${random.word()}?q=${random.word()}`],
    ['sec-ch-ua', '"Chromium";v="140", "Not=A?Brand";v="24", "Microsoft Edge";v="140"'],
    ['sec-fetch-site', 'same-origin'],
    ['sec-fetch-mode', 'navigate'],
    ['x-forwarded-for', `198.51.100.${random.below(255)}`],
    [
      'cookie',
      `sid=${random.hex(64)}; cart=${random.hex(32)}; consent=analytics%3A1%26ads%3A0; _ga=GA1.2.${random.below(1e9)}.${random.below(1e9)}; theme=dark; recently_viewed=${random.below(1e6)}%2C${random.below(1e6)}%2C${random.below(1e6)}; csrf=${random.hex(40)}; experiment_${random.word()}=variant-b; locale=en-GB`,
    ],
  ];
}

function responseHeaders(random: Random): HeaderList {
  return [
    ['date', 'Mon, 05 Jan 2026 10:00:00 GMT'],
    ['server', 'nginx'],
    ['cache-control', 'private, max-age=0, must-revalidate'],
    ['etag', `"${random.hex(32)}"`],
    ['strict-transport-security', 'max-age=31536000; includeSubDomains'],
    ['x-request-id', random.hex(32)],
    ['vary', 'Accept-Encoding, Cookie'],
  ];
}

function jsonHeaders(body: string): HeaderList {
  return [
    ['content-type', 'application/json'],
    ['content-length', String(body.length)],
  ];
}

const customer = { id: 4711, name: 'Ada Example', email: 'ada@shop.example' };

/** An order with as many lines as fit, ASCII, of exactly so many bytes. */
function jsonOf(random: Random, bytes: number): string {
  const lines: object[] = [];
  const text = (note: string): string => JSON.stringify({ customer, lines, note });
  const line = (): object => ({
    sku: `${random.word()}-${random.hex(6)}`,
    quantity: random.below(9) + 1,
    price: random.below(10_000) / 100,
    gift: random.below(2) === 0,
    comment: `please pack the ${random.word()} ${random.word()} with care`,
  });
  for (let size = text('').length; size < bytes - 200; size = text('').length) lines.push(line());
  return text('n'.repeat(Math.max(0, bytes - text('').length)));
}

const words = [
  'autumn',
  'bicycle',
  'candle',
  'drawer',
  'evening',
  'forest',
  'garden',
  'harbour',
  'island',
  'jacket',
  'kettle',
  'lantern',
  'mirror',
  'notebook',
  'orchard',
  'pencil',
  'quilt',
  'ribbon',
  'saddle',
  'teapot',
];

/** Mulberry32: small, and good enough to fill a header. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  /** 0 to `limit` − 1. */
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit);
  }

  hex(digits: number): string {
    return Array.from({ length: digits }, () => this.below(16).toString(16)).join('');
  }

  word(): string {
    return words[this.below(words.length)] ?? '';
  }

  shuffled<T>(values: readonly T[]): T[] {
    const keyed = values.map((value) => ({ value, key: this.below(2 ** 31) }));
    return keyed.sort((a, b) => a.key - b.key).map(({ value }) => value);
  }
}
