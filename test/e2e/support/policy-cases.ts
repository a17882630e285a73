// What Remote Config and the folder can both do, in one table: files in, and what they change in HAProxy's answers
// to real clients. Datadog's own ruleset runs, so that the ids are those an operator sees.
import { expect, it, vi } from 'vitest';
import type { WafProduct } from '../../../src/engine/waf/waf-configs.ts';
import { fetchOnce, type HttpResponse, header, type RequestParts } from './http-client.ts';
import { patienceMs } from './patience.ts';

export type PolicyProduct = WafProduct | 'ASM_FEATURES';

export interface PolicyFile {
  readonly product: PolicyProduct;
  /** A string is sent as it is. */
  readonly content: unknown;
}

interface PolicyCheck {
  readonly request: RequestParts;
  /** Status without the files, and with them. */
  readonly without: number;
  readonly with: number;
  /** With the files, of a redirect. */
  readonly location?: string;
}

interface PolicyCase {
  readonly what: string;
  readonly files: readonly PolicyFile[];
  readonly checks: readonly PolicyCheck[];
}

/** How policy files come to the daemon behind a HAProxy. */
export interface PolicyDelivery {
  /** Of each HAProxy in front of the daemon. */
  ports(): readonly number[];
  /** Resolves when the files are in effect, with what takes them away again. */
  deliver(files: readonly PolicyFile[]): Promise<() => Promise<void>>;
}

export const blockedAddress = '198.51.100.7';
export const from = (address: string): RequestParts => ({ headers: { 'x-forwarded-for': address } });
const scanner = (userAgent: string, target = '/'): RequestParts => ({
  ...{ target, headers: { 'user-agent': userAgent } },
});
/** ua0-600-55x reports the first one, ua0-600-56x blocks the second one. */
export const reported = scanner('dd-test-scanner-log');
export const blocked = scanner('dd-test-scanner-log-block');
const json = (value: unknown): RequestParts => ({
  ...{ method: 'POST', target: '/echo', body: JSON.stringify(value) },
  headers: { 'content-type': 'application/json' },
});

export function asm(content: object): PolicyFile {
  return { product: 'ASM', content };
}

export function override(ruleId: string, change: object): object {
  return { rules_target: [{ rule_id: ruleId }], ...change };
}

/** @param expiration in seconds since 1970; undefined: never. */
export function blockedIps(value: string, expiration?: number): PolicyFile {
  const entry = expiration === undefined ? { value } : { value, expiration };
  const list = { id: 'blocked_ips', type: 'ip_with_expiration', data: [entry] };
  return { product: 'ASM_DATA', content: { rules_data: [list] } };
}

export function phraseRule(id: string, address: string, phrase: string): object {
  return {
    id,
    name: id,
    tags: { type: 'custom', category: 'attack_attempt' },
    conditions: [{ operator: 'phrase_match', parameters: { inputs: [{ address }], list: [phrase] } }],
    on_match: ['block'],
  };
}

/** The rule that reports, set to block. */
export const blockReported = asm({ rules_override: [override('ua0-600-55x', { on_match: ['block'] })] });

export function switchFile(enabled: boolean): PolicyFile {
  return { product: 'ASM_FEATURES', content: { asm: { enabled } } };
}

const pathCondition = {
  operator: 'match_regex',
  parameters: { inputs: [{ address: 'server.request.uri.raw' }], regex: '^/free' },
};

const policyCases: readonly PolicyCase[] = [
  {
    what: 'an address is blocked and unblocked',
    files: [blockedIps(blockedAddress)],
    checks: [
      { request: from(blockedAddress), without: 200, with: 403 },
      { request: from('198.51.100.8'), without: 200, with: 200 },
    ],
  },
  {
    what: 'a network is blocked and unblocked',
    files: [blockedIps('2001:db8::/32')],
    checks: [{ request: from('2001:db8:1::5'), without: 200, with: 403 }],
  },
  {
    what: 'a list entry whose time is over blocks nobody',
    files: [blockedIps(blockedAddress, 1_700_000_000)],
    checks: [{ request: from(blockedAddress), without: 200, with: 200 }],
  },
  {
    what: 'a rule is turned off',
    files: [asm({ rules_override: [override('ua0-600-56x', { enabled: false })] })],
    checks: [{ request: blocked, without: 403, with: 200 }],
  },
  {
    what: 'a rule is set to block',
    files: [blockReported],
    checks: [{ request: reported, without: 200, with: 403 }],
  },
  {
    what: 'a rule is set to an action with a status of its own',
    files: [
      asm({
        rules_override: [override('ua0-600-55x', { on_match: ['teapot'] })],
        actions: [{ id: 'teapot', type: 'block_request', parameters: { status_code: 418, type: 'json' } }],
      }),
    ],
    checks: [{ request: reported, without: 200, with: 418 }],
  },
  {
    what: 'a rule is set to redirect, by an action of another file',
    files: [
      asm({ rules_override: [override('ua0-600-55x', { on_match: ['away'] })] }),
      asm({
        actions: [
          { id: 'away', type: 'redirect_request', parameters: { status_code: 303, location: '/away' } },
        ],
      }),
    ],
    checks: [{ request: reported, without: 200, with: 303, location: '/away' }],
  },
  {
    what: 'requests are excluded from a rule',
    files: [
      asm({
        exclusions: [{ id: 'free', conditions: [pathCondition], rules_target: [{ rule_id: 'ua0-600-56x' }] }],
      }),
    ],
    checks: [
      { request: scanner('dd-test-scanner-log-block', '/free/x'), without: 403, with: 200 },
      { request: scanner('dd-test-scanner-log-block', '/other'), without: 403, with: 403 },
    ],
  },
  {
    what: 'a custom rule looks at a body',
    files: [asm({ custom_rules: [phraseRule('my-body', 'server.request.body', 'attack-mine')] })],
    checks: [
      { request: json({ a: ['attack-mine'] }), without: 200, with: 403 },
      { request: json({ a: ['harmless'] }), without: 200, with: 200 },
    ],
  },
  {
    what: 'a new ruleset takes the place of the built-in one, which comes back',
    files: [
      {
        product: 'ASM_DD',
        content: {
          ...{ version: '2.2', metadata: { rules_version: '9.9.9' } },
          rules: [phraseRule('new', 'server.request.query', 'attack-new')],
        },
      },
    ],
    checks: [
      { request: blocked, without: 403, with: 200 },
      { request: { target: '/?q=attack-new' }, without: 200, with: 403 },
    ],
  },
  {
    what: 'inspection is switched off and on',
    files: [switchFile(false)],
    checks: [{ request: blocked, without: 403, with: 200 }],
  },
];

/** What the WAF gets in each case. */
export const policyContents: readonly (readonly object[])[] = policyCases.map(({ files }) =>
  files.map(({ content }) => content as object),
);

/** Each case is a test: the files change the answers, and without them these are as before. */
export function itDoesEveryCase({ ports, deliver }: PolicyDelivery): void {
  it.each(policyCases)('$what', async ({ files, checks }) => {
    const answers = (): Promise<object[][]> => Promise.all(ports().map((port) => answersTo(port, checks)));
    const everywhere = (when: 'with' | 'without'): object[][] => ports().map(() => wanted(checks, when));
    expect(await answers()).toEqual(everywhere('without'));
    const takeAway = await deliver(files);
    expect(await answers()).toEqual(everywhere('with'));
    await takeAway();
    expect(await answers()).toEqual(everywhere('without'));
  });
}

export function itFreesAnAddressInTime({ ports, deliver }: PolicyDelivery): void {
  it('a blocked address is free again when its time is over', { timeout: 300_000 }, async () => {
    const [port = 0] = ports();
    const status = async (): Promise<number> => (await fetchOnce(port, from(blockedAddress))).status;
    // A busy machine may take longer than that until it asks.
    for (const seconds of [4, 16, 64]) {
      const end = Math.floor(Date.now() / 1000) + seconds;
      const takeAway = await deliver([blockedIps(blockedAddress, end)]);
      const before = await status();
      if (Date.now() / 1000 >= end && seconds < 64) {
        await takeAway();
        continue;
      }
      expect(before).toBe(403);
      await vi.waitFor(async () => expect(await status()).toBe(200), seconds * 1000 + patienceMs);
      await takeAway();
      return;
    }
  });
}

/** Statuses and targets of redirects that real clients get, as the table has them. */
async function answersTo(port: number, checks: readonly PolicyCheck[]): Promise<object[]> {
  const answers: object[] = [];
  for (const { request } of checks) answers.push(shown(await fetchOnce(port, request)));
  return answers;
}

function shown(response: HttpResponse): object {
  return { status: response.status, location: header(response, 'location') };
}

function wanted(checks: readonly PolicyCheck[], when: 'with' | 'without'): object[] {
  return checks.map((check) => ({
    status: check[when],
    location: when === 'with' ? check.location : undefined,
  }));
}
