import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { skipReasons } from '../../../src/adapters/haproxy/contract.ts';
import { rewritingRoomBytes } from '../../../src/adapters/haproxy/rewriting-room.ts';
import { type PlanInput, planActions } from '../../../src/adapters/haproxy/set-var.ts';
import { skippedActions } from '../../../src/adapters/haproxy/unseen.ts';
import { BlockPages, type BlockPageTemplates } from '../../../src/engine/block-page.ts';
import type { HeaderList } from '../../../src/engine/http.ts';
import { localTracer } from '../../../src/engine/trace.ts';
import { Transaction } from '../../../src/engine/transaction.ts';
import type { Verdict } from '../../../src/engine/verdict.ts';
import {
  type Action,
  AgentConnection,
  decodeActions,
  encodeActions,
  encodedActionSize,
  encodeHaproxyHello,
  encodeNotify,
  type Uint64,
} from '../../../src/spop/index.ts';
import { variablesOf } from '../../support/spoe-messages.ts';
import { decodeAgentFrames, TYPICAL_HELLO } from '../../support/spop-client.ts';
import { requestHead, testDoor } from '../../support/test-engine.ts';

const securityResponseId = 'd6ee8d5a-3a0f-4ed7-8e3c-4b2f3d5d2a11';
const block: Verdict = { kind: 'block', status: 403, type: 'html', securityResponseId };

interface Case {
  readonly verdict: Verdict;
  readonly wantsBody?: boolean;
  readonly bodyOf?: PlanInput['bodyOf'];
  readonly announcesIdentity?: boolean;
  readonly propagation?: HeaderList;
  readonly ruleIds?: readonly string[];
  readonly accept?: string;
}

function inputOf(example: Case): PlanInput {
  const request = requestHead('/', [['accept', example.accept ?? '*/*']]);
  const transaction = new Transaction(testDoor, request, undefined, localTracer.begin(request), {
    sampleSchema: () => false,
    bodyLimitBytes: 0,
    maxDecompressedBytes: 0,
    clientIpHeader: undefined,
    observers: [],
    createContext: () => {
      throw new Error('no WAF here');
    },
    allowReport: () => true,
    released: () => undefined,
    failed: () => undefined,
  });
  transaction.ruleIds.push(...(example.ruleIds ?? []));
  return {
    analysis: {
      kind: 'inspected',
      transaction,
      verdict: example.verdict,
      wantsBody: example.wantsBody ?? false,
    },
    bodyOf: example.bodyOf,
    standing: example.verdict.kind,
    identity: example.announcesIdentity === true ? transaction.id : undefined,
    propagation: example.propagation ?? [],
  };
}

function plan(example: Case, maxActionsBytes: number, templates: BlockPageTemplates = {}) {
  return planActions(inputOf(example), new BlockPages(templates), maxActionsBytes);
}

/** The same, decoded. */
function planned(...args: Parameters<typeof plan>): readonly Action[] {
  return decodeActions(Buffer.from(plan(...args).actions));
}

/** Through a real connection: what HAProxy reads back, and the size of the frame. */
function acknowledged(
  example: Case,
  frameBytes: number,
  ids: readonly [Uint64, Uint64] = [1, 1],
  templates = {},
) {
  const connection = new AgentConnection({ maxFrameSize: 2 ** 20 });
  connection.receive(encodeHaproxyHello({ ...TYPICAL_HELLO, maxFrameSize: frameBytes }));
  const [notify] = connection.receive(encodeNotify(ids[0], ids[1], []));
  if (notify?.kind !== 'notify') throw new Error('no NOTIFY was received');
  connection.takeOutput();
  const result = plan(example, notify.maxActionsBytes, templates);
  connection.ack(...ids, result.actions);
  const [ack] = decodeAgentFrames(connection.takeOutput() ?? Buffer.alloc(0));
  if (ack?.kind !== 'ack') throw new Error('no ACK was sent');
  return { ...result, size: ack.size, variables: variablesOf(ack.actions) };
}

const anyId = fc.oneof(fc.nat(), fc.bigInt({ min: 2n ** 53n, max: 2n ** 64n - 1n })) as fc.Arbitrary<Uint64>;
const anyVerdict: fc.Arbitrary<Verdict> = fc.oneof(
  fc.constantFrom<Verdict>({ kind: 'pass' }, { kind: 'report' }, block, { ...block, type: 'json' }),
  fc.record({
    kind: fc.constant('redirect' as const),
    status: fc.integer({ min: 300, max: 399 }),
    location: fc.nat({ max: 30_000 }).map((length) => `/${'x'.repeat(length)}`),
    securityResponseId: fc.constant(securityResponseId),
  }),
);
const anyCase: fc.Arbitrary<Case> = fc.record({
  verdict: anyVerdict,
  wantsBody: fc.boolean(),
  bodyOf: fc.constantFrom('request', 'response', undefined),
  announcesIdentity: fc.boolean(),
  propagation: fc.array(
    fc.tuple(fc.constantFrom('x-datadog-trace-id', 'x-datadog-tags'), fc.string({ maxLength: 5000 })),
    { maxLength: 5 },
  ),
  ruleIds: fc.oneof(
    fc.array(fc.string({ minLength: 1, maxLength: 40, unit: 'grapheme' }), { maxLength: 20 }),
    fc.constant(Array.from({ length: 500 }, (_, index) => `rule-${index}`)),
  ),
});
const anyTemplates = fc.record({
  html: fc.oneof(
    fc.constant(undefined),
    fc.nat({ max: 30_000 }).map((length) => '<p>[security_response_id]'.padEnd(length, 'é')),
  ),
});

describe('the ACK of any verdict', () => {
  it('never exceeds the negotiated frame, and always says what must be said', () => {
    fc.assert(
      fc.property(
        anyCase,
        fc.integer({ min: 256, max: 20_000 }),
        anyId,
        anyId.filter((id) => id !== 0),
        anyTemplates,
        (example, frameBytes, streamId, frameId, templates) => {
          const { size, variables } = acknowledged(example, frameBytes, [streamId, frameId], templates);
          expect(size).toBeLessThanOrEqual(frameBytes);
          expect(variables).toHaveProperty('request_body');
          expect(variables).toHaveProperty('response_body');
          const blocks = example.verdict.kind === 'block' || example.verdict.kind === 'redirect';
          expect(variables['blocked']).toBe(blocks ? true : undefined);
          if (!blocks) return;
          expect(variables['status']).toBeTypeOf('number');
          expect(variables['headers']).toMatch(/^(Location|Content-Type): /);
          expect(variables).toHaveProperty('body');
        },
      ),
      { numRuns: 400 },
    );
  });

  it('uses all of the frame for the page, but for the room that HAProxy needs, before it gives the page up', () => {
    const needed = planned({ verdict: block }, 1_000_000);
    const withoutNarrative = needed.filter((action) => action.name !== 'verdict');
    const bytes = withoutNarrative.reduce((sum, action) => sum + encodedActionSize(action), 0);
    // The length of a page is reckoned with five bytes; the built-in page needs two.
    const smallest = bytes + 3 + Math.floor((bytes + 3) / 15);
    expect(smallest - rewritingRoomBytes(smallest)).toBe(bytes + 3);
    expect(variablesOf(planned({ verdict: block }, smallest))['body']).not.toBe('');
    expect(variablesOf(planned({ verdict: block }, smallest - 4))['body']).toBe('');
  });
});

describe('the room that a page leaves to the headers that HAProxy adds', () => {
  it.each([
    ["1 kB with HAProxy's own buffer, as its tune.maxrewrite", 16_380, 1_023],
    ['8 kB with the buffer of our files, as theirs', 24_572, 8_188],
    ['no more with a larger one', 131_068, 8_192],
    ['a sixteenth of a smaller one', 4_092, 255],
  ])('is %s', (_what, frameBytes, room) => {
    expect(rewritingRoomBytes(frameBytes)).toBe(room);
  });

  it('is left by a page, which gives way to the built-in one before', () => {
    const page = (bytes: number) => ({ html: 'x'.repeat(bytes) });
    const whole = acknowledged({ verdict: block }, 24_572, [1, 1], page(16_200));
    expect(whole.pageSubstituted).toBe(false);
    const larger = acknowledged({ verdict: block }, 24_572, [1, 1], page(16_400));
    expect(larger.pageSubstituted).toBe(true);
    expect(larger.variables['body']).toContain('Request blocked');
  });

  it('is left by a Location, in whose place there is a plain 403', () => {
    const location = (bytes: number): Verdict => ({
      ...{ kind: 'redirect', status: 302, securityResponseId },
      location: `/${'x'.repeat(bytes)}`,
    });
    expect(acknowledged({ verdict: location(16_200) }, 24_572).variables['status']).toBe(302);
    expect(acknowledged({ verdict: location(16_400) }, 24_572).variables['status']).toBe(403);
  });
});

describe('what gives way when a block is too large', () => {
  const largePage = { html: `<p>${'x'.repeat(5000)}</p>` };

  it("is first the operator's page, for the built-in one", () => {
    const { pageSubstituted, variables } = acknowledged({ verdict: block }, 4000, [1, 1], largePage);
    expect(pageSubstituted).toBe(true);
    expect(variables['body']).toContain('Request blocked');
  });

  it('is then any page at all; the flag, the status and the header fields stay', () => {
    const { pageSubstituted, variables } = acknowledged({ verdict: block }, 256, [1, 1], largePage);
    expect(pageSubstituted).toBe(true);
    expect(variables).toMatchObject({
      blocked: true,
      status: 403,
      headers: 'Content-Type: text/html; charset=utf-8\nCache-Control: no-store\n',
      body: '',
      request_body: false,
      response_body: false,
    });
  });

  it("is nothing while the operator's page fits", () => {
    const { pageSubstituted, variables } = acknowledged({ verdict: block }, 16_380, [1, 1], largePage);
    expect(pageSubstituted).toBe(false);
    expect(variables['body']).toBe(largePage.html);
  });

  it('turns a redirect whose Location does not fit into a plain 403, page by the Accept header', () => {
    const verdict: Verdict = {
      kind: 'redirect',
      status: 302,
      location: `https://a.test/${'x'.repeat(2000)}`,
      securityResponseId,
    };
    const { pageSubstituted, variables } = acknowledged({ verdict, accept: 'text/html' }, 2000);
    expect(pageSubstituted).toBe(true);
    expect(variables).toMatchObject({ blocked: true, status: 403, verdict: 'block' });
    expect(variables['headers']).toContain('text/html');
    expect(variables['body']).toContain(securityResponseId);
  });

  it('leaves a redirect alone whose Location just fits', () => {
    const verdict: Verdict = { kind: 'redirect', status: 307, location: '/blocked', securityResponseId };
    const { pageSubstituted, variables } = acknowledged({ verdict }, 256);
    expect(pageSubstituted).toBe(false);
    expect(variables).toMatchObject({ status: 307, headers: 'Location: /blocked\n', body: '' });
  });
});

describe('what gives way when a pass is too large', () => {
  const example: Case = {
    verdict: { kind: 'report' },
    wantsBody: true,
    bodyOf: 'request',
    announcesIdentity: true,
    propagation: [
      ['x-datadog-trace-id', '1'],
      ['x-datadog-tags', 't'.repeat(400)],
    ],
    ruleIds: ['a-1', 'b-2'],
  };

  it('is trace headers before the identity, and what people read with them', () => {
    const { dropped, variables } = acknowledged(example, 300);
    expect(dropped).toEqual(['tracing_x_datadog_tags']);
    expect(variables).toMatchObject({ request_body: true, tracing_x_datadog_trace_id: '1' });
    expect(variables['span_id']).toMatch(/^\d+$/);
  });

  it('shortens the list of rules before it leaves it out', () => {
    const ruleIds = Array.from({ length: 500 }, (_, index) => `rule-${index}`);
    const large = acknowledged({ ...example, ruleIds }, 16_380).variables['rule_ids'];
    const small = acknowledged({ ...example, propagation: [], ruleIds }, 256).variables['rule_ids'];
    expect(large).toMatch(/^rule-0,rule-1,.*,\.\.\.$/);
    expect(String(large).length).toBeLessThanOrEqual(512);
    expect(small).toMatch(/^rule-0,.*\.\.\.$/);
    expect(String(small).length).toBeLessThan(String(large).length);
  });

  it('says so when a single rule id is too long to be told', () => {
    const { variables } = acknowledged({ ...example, ruleIds: ['x'.repeat(600)] }, 16_380);
    expect(variables['rule_ids']).toBe('...');
  });
});

describe('the order of actions', () => {
  const names = (actions: readonly Action[]) => actions.map((action) => action.name);

  it('puts the block first, for HAProxy skips all behind an action that it cannot read', () => {
    const actions = planned({ verdict: block, announcesIdentity: true, ruleIds: ['a'] }, 16_000);
    expect(names(actions)).toEqual([
      'blocked',
      'status',
      'headers',
      'body',
      'request_body',
      'response_body',
      'span_id',
      'verdict',
      'rule_ids',
      'trace_id',
    ]);
  });

  it('puts the requests for bodies and the identity before the rest of a pass', () => {
    const actions = planned(
      { verdict: { kind: 'pass' }, announcesIdentity: true, propagation: [['X-Datadog-Trace-Id', '7']] },
      16_000,
    );
    expect(names(actions)).toEqual([
      'request_body',
      'response_body',
      'span_id',
      'tracing_x_datadog_trace_id',
      'verdict',
      'trace_id',
    ]);
  });
});

describe('the requests for bodies', () => {
  it.each([
    ['request', true, { request_body: true, response_body: false }],
    // Datadog's configuration knows request_body only.
    ['response', true, { request_body: true, response_body: true }],
    ['request', false, { request_body: false, response_body: false }],
    ['response', false, { request_body: false, response_body: false }],
  ] as const)('of a %s, wanted %s, are %o', (bodyOf, wantsBody, expected) => {
    const { variables } = acknowledged({ verdict: { kind: 'pass' }, wantsBody, bodyOf }, 16_380);
    expect(variables).toMatchObject(expected);
  });
});

it('the answer to what was not analysed fits into the smallest frame there is, whatever its identity', () => {
  const owner = { instance: 'f'.repeat(16), thread: 9999 };
  const identity = { spanId: '18446744073709551615', traceId: 'f'.repeat(32), owner, mark: undefined };
  const smallestFrameBytes = 256;
  const idsBytes = 25;
  for (const reason of skipReasons) {
    const bytes = encodeActions(skippedActions(reason, identity)).length;
    expect(bytes).toBeLessThanOrEqual(smallestFrameBytes - idsBytes);
  }
});
