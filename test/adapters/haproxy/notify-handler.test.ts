import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  configurationVersion,
  messageNames,
  type SkipReason,
} from '../../../src/adapters/haproxy/contract.ts';
import { NotifyHandler } from '../../../src/adapters/haproxy/handler.ts';
import type { NotifyObserver } from '../../../src/adapters/haproxy/notify-observer.ts';
import { routeOf } from '../../../src/adapters/haproxy/notify-route.ts';
import { BlockPages } from '../../../src/engine/block-page.ts';
import type { EngineOptions } from '../../../src/engine/engine.ts';
import type { HeaderList } from '../../../src/engine/http.ts';
import { localTracer, type Tracer } from '../../../src/engine/trace.ts';
import { type SpoeMessageInput, SpopError } from '../../../src/spop/index.ts';
import { mutatedPayload } from '../../spop/arbitraries.ts';
import { actionsOf, variablesFor } from '../../support/notify-answers.ts';
import {
  binary,
  int64,
  message,
  nothing,
  requestBodyMessage,
  requestHeadersMessage,
  responseBodyMessage,
  responseHeadersMessage,
  string,
  variablesOf,
} from '../../support/spoe-messages.ts';
import { jsonHeaders, testEngine } from '../../support/test-engine.ts';

const jsonResponse: HeaderList = [['content-type', 'application/json']];

class ToldNotify implements NotifyObserver {
  readonly told: string[] = [];
  message(): void {}
  failed(name: string, cause: unknown): void {
    this.told.push(`failed ${name}: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
  unknownMessage(name: string): void {
    this.told.push(`unknown ${name}`);
  }
  malformed(name: string, cause: Error): void {
    this.told.push(`malformed ${name}: ${cause.message}`);
  }
  configurationMismatch(theirs: string, ours: string): void {
    this.told.push(`configuration ${theirs} ${ours}`);
  }
  pageSubstituted(): void {
    this.told.push('page substituted');
  }
  variablesDropped(names: readonly string[]): void {
    this.told.push(`dropped ${names.join(' ')}`);
  }
  skipped(reason: SkipReason): void {
    this.told.push(`skipped ${reason}`);
  }
  frameFailed(cause: unknown): void {
    this.told.push(`frame failed: ${String(cause)}`);
  }
}

function setUp(changes: Partial<EngineOptions> = {}) {
  const { engine, recorder } = testEngine(changes);
  const observer = new ToldNotify();
  const handler = new NotifyHandler({
    inspector: engine,
    pages: new BlockPages(),
    observer,
    timeToLiveMs: 60_000,
  });
  const notify = (...messages: SpoeMessageInput[]) => variablesFor(handler, messages);
  return { engine, recorder, observer, handler, notify };
}

function isRouted(payload: Buffer): boolean {
  try {
    routeOf(payload);
    return true;
  } catch {
    return false;
  }
}

const idOf = (variables: Record<string, unknown>): string => String(variables['span_id']);

describe('a NOTIFY', () => {
  it('without a message is answered with both requests for bodies, false', async () => {
    expect(await setUp().notify()).toEqual({ request_body: false, response_body: false });
  });

  it('of a request gets an identity, a trace and a verdict', async () => {
    const variables = await setUp().notify(requestHeadersMessage('/'));
    expect(variables).toMatchObject({ request_body: false, response_body: false, verdict: 'pass' });
    expect(variables['span_id']).toMatch(/^[1-9]\d*$/);
    expect(variables['trace_id']).toMatch(/^[0-9a-f]{32}$/);
  });

  it('with an attack that is only reported names the rules', async () => {
    const variables = await setUp().notify(requestHeadersMessage('/?q=attack-report'));
    expect(variables).toMatchObject({ verdict: 'report', rule_ids: 'report-1,report-2' });
    expect(variables).not.toHaveProperty('blocked');
  });

  it('with an attack to block carries the whole answer for the client', async () => {
    const variables = await setUp().notify(requestHeadersMessage('/?q=attack-block'));
    expect(variables).toMatchObject({ blocked: true, status: 403, verdict: 'block', rule_ids: 'block-1' });
    expect(variables['body']).toContain('Request blocked');
  });

  it('with a redirect carries its Location with the response id filled in', async () => {
    const variables = await setUp().notify(requestHeadersMessage('/?q=attack-redirect'));
    expect(variables).toMatchObject({ blocked: true, status: 302, verdict: 'redirect' });
    expect(variables['headers']).toMatch(/^Location: https:\/\/example\.test\/blocked\?id=[0-9a-f-]{36}\n$/);
  });

  it('of several messages gets one answer for all of them', async () => {
    const { notify, recorder } = setUp();
    const body = message(messageNames.requestBody, {
      body: binary('{"a":"attack-block"}'),
      span_id: nothing,
    });
    const variables = await notify(requestHeadersMessage('/', jsonHeaders), body);
    expect(variables).toMatchObject({ blocked: true, status: 403, request_body: false });
    expect(variables['span_id']).toMatch(/^\d+$/);
    expect(recorder.reasons).toEqual(['blocked']);
  });

  it('keeps the block of its first message when another follows', async () => {
    const { notify, recorder } = setUp();
    const variables = await notify(
      requestHeadersMessage('/?q=attack-block', jsonHeaders),
      requestBodyMessage(undefined, '{}'),
    );
    expect(variables).toMatchObject({ blocked: true, status: 403 });
    expect(recorder.reasons).toEqual(['blocked']);
  });

  it('does not ask for a body that it brought along', async () => {
    const headers: HeaderList = [...jsonHeaders, ['content-length', '2']];
    const variables = await setUp().notify(
      requestHeadersMessage('/', headers),
      requestBodyMessage(undefined, '{}'),
    );
    expect(variables).toMatchObject({ request_body: false });
  });

  it('with an unknown message is answered, and the known ones beside it are analysed', async () => {
    const { notify, observer } = setUp();
    const variables = await notify(
      message('somebody-elses-msg', {}),
      requestHeadersMessage('/?q=attack-block'),
    );
    expect(variables).toMatchObject({ blocked: true });
    expect(observer.told).toEqual(['unknown somebody-elses-msg']);
    expect(await notify(message('somebody-elses-msg', {}))).toEqual({
      request_body: false,
      response_body: false,
    });
  });

  it('with unknown and unnamed arguments is analysed all the same', async () => {
    const odd = requestHeadersMessage('/?q=attack-block', undefined, {
      colour: string('blue'),
      '': int64(7),
    });
    expect(await setUp().notify(odd)).toMatchObject({ blocked: true });
  });

  it.each(Object.values(messageNames))('of %s with nothing but null arguments is answered', async (name) => {
    const names = [
      'ip',
      'ip_port',
      'method',
      'path',
      'headers',
      'https',
      'timeout',
      'body',
      'span_id',
      'status',
    ];
    const args = Object.fromEntries(names.map((argument) => [argument, nothing]));
    const { notify, observer } = setUp();
    for (const variables of [await notify(message(name, args)), await notify(message(name, {}))]) {
      expect(variables).toMatchObject({ request_body: expect.any(Boolean), response_body: false });
    }
    expect(observer.told).toEqual([]);
  });

  it('is analysed as far as its header list goes when that is cut off', async () => {
    const { notify, observer } = setUp();
    const cut = Buffer.from('\x01a\x0cattack-block\x05host', 'latin1');
    const variables = await notify(requestHeadersMessage('/', [], { headers: binary(cut) }));
    expect(variables).toMatchObject({ blocked: true });
    expect(observer.told).toEqual([expect.stringMatching(/^malformed http-request-headers-msg: /)]);
  });

  it('without a header list, which is null when it does not fit a buffer of HAProxy, is analysed', async () => {
    const variables = await setUp().notify(
      requestHeadersMessage('/?q=attack-block', [], { headers: nothing }),
    );
    expect(variables).toMatchObject({ blocked: true });
  });

  it('that is no list of messages, which no router lets pass, is answered as a mistake of ours', async () => {
    const { handler, observer } = setUp();
    expect(variablesOf(await actionsOf(handler, Buffer.from([0xff])))).toMatchObject({ verdict: 'error' });
    expect(observer.told).toEqual([expect.stringMatching(/^frame failed: SpopError: /)]);
  });

  it('of any bytes that a router lets pass is answered without a mistake', async () => {
    const { handler, observer } = setUp();
    const any = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
    await fc.assert(
      fc.asyncProperty(fc.oneof(any, mutatedPayload), async (payload) => {
        fc.pre(isRouted(payload));
        expect((await actionsOf(handler, payload)).length).toBeGreaterThan(0);
      }),
    );
    expect(observer.told.filter((line) => /^(failed|frame failed)/.test(line))).toEqual([]);
  });

  it('of any values in any argument is answered', async () => {
    const { notify, observer } = setUp();
    const anyValue = fc.oneof(
      fc.constant(nothing),
      fc.boolean().map((value) => ({ type: 'boolean' as const, value })),
      fc.integer().map((value) => int64(value)),
      fc.uint8Array({ maxLength: 200 }).map((value) => binary(value)),
      fc.string({ unit: 'binary' }).map((value) => string(value)),
      fc.constant({ type: 'ipv6' as const, value: '::1' }),
    );
    const argument = fc.constantFrom(
      'headers',
      'path',
      'method',
      'status',
      'ip',
      'span_id',
      'timeout',
      'body',
    );
    const messages = fc.array(
      fc
        .tuple(fc.constantFrom(...Object.values(messageNames)), fc.dictionary(argument, anyValue))
        .map(([name, args]) => message(name, args)),
      { maxLength: 4 },
    );
    await fc.assert(
      fc.asyncProperty(messages, async (list) => {
        expect(await notify(...list)).toHaveProperty('response_body');
      }),
    );
    expect(observer.told.filter((line) => line.startsWith('failed'))).toEqual([]);
  });
});

describe('the bodies of a transaction', () => {
  const headers: HeaderList = [...jsonHeaders, ['content-length', '20']];

  it('are asked for, found by the identity, and not asked for again', async () => {
    const { notify } = setUp();
    const first = await notify(requestHeadersMessage('/', headers));
    expect(first).toMatchObject({ request_body: true, response_body: false });
    const second = await notify(requestBodyMessage(idOf(first), '{"a":"attack-report"}'));
    expect(second).toMatchObject({ request_body: false, response_body: false, verdict: 'report' });
    expect(idOf(second)).toBe(`${idOf(first)}.report`);
    const third = await notify(responseHeadersMessage(idOf(second)));
    expect(third).toMatchObject({ verdict: 'report' });
    expect(third).not.toHaveProperty('span_id');
  });

  it("are found by Datadog's published configuration, which asks for both with request_body", async () => {
    const { notify, recorder } = setUp();
    const id = idOf(await notify(requestHeadersMessage('/', headers)));
    expect(await notify(requestBodyMessage(id, '{"a":"clean"}'))).toMatchObject({ request_body: false });
    const response = await notify(responseHeadersMessage(id, 200, jsonResponse));
    expect(response).toMatchObject({ request_body: true, response_body: true });
    const last = await notify(responseBodyMessage(id, '{"a":"attack-block"}'));
    expect(last).toMatchObject({ blocked: true, request_body: false, response_body: false });
    expect(recorder.reasons).toEqual(['blocked']);
  });

  it('are awaited when they are compressed', async () => {
    const { notify } = setUp();
    const id = idOf(await notify(requestHeadersMessage('/', [...headers, ['content-encoding', 'gzip']])));
    const variables = await notify(requestBodyMessage(id, gzipSync('{"a":"attack-block"}')));
    expect(variables).toMatchObject({ blocked: true, request_body: false });
  });

  it('are not asked for when the limit is 0', async () => {
    const { notify } = setUp({ bodyLimitBytes: 0 });
    const first = await notify(requestHeadersMessage('/', headers));
    expect(first).toMatchObject({ request_body: false });
    expect(await notify(responseHeadersMessage(idOf(first), 200, jsonResponse))).toMatchObject({
      request_body: false,
      response_body: false,
    });
  });
});

describe('a response is blocked', () => {
  it.each([
    ['its headers', responseHeadersMessage(undefined, 200, [['x-leak', 'attack-block']])],
    ['its status', responseHeadersMessage(undefined, 599)],
    ['its body', responseBodyMessage(undefined, '{"a":"attack-block"}')],
  ])('for %s', async (_what, response) => {
    expect(await setUp().notify(response)).toMatchObject({ blocked: true, status: 403 });
  });
});

describe('a later message whose identity is', () => {
  const attack: HeaderList = [['x-other', 'attack-report']];

  it.each([
    ['absent', undefined],
    ['no number', 'x'],
    ['zero', '0'],
    ['beyond 64 bits', '18446744073709551616'],
    ['very long', '9'.repeat(2000)],
    ['negative', '-4'],
  ])('%s is analysed, reported once and given an identity', async (_what, id) => {
    const { notify, recorder, engine } = setUp();
    const variables = await notify(responseHeadersMessage(id, 200, attack));
    expect(variables).toMatchObject({ verdict: 'report', rule_ids: 'response-report' });
    expect(variables['span_id']).toMatch(/^[1-9]\d*\.report$/);
    expect(recorder.detections).toHaveLength(1);
    expect(recorder.reasons).toEqual(['complete']);
    expect(engine.liveTransactions).toBe(0);
  });

  it('unknown here is analysed, reported once and keeps it', async () => {
    const { notify, recorder } = setUp();
    const variables = await notify(responseHeadersMessage('18446744073709551615', 200, attack));
    expect(variables).toMatchObject({ verdict: 'report', span_id: '18446744073709551615.report' });
    expect(recorder.endings.map(({ transaction }) => transaction.id)).toEqual(['18446744073709551615']);
    expect(recorder.detections).toHaveLength(1);
  });

  it('unknown joins the response body to the response headers', async () => {
    const { notify, recorder } = setUp();
    await notify(responseHeadersMessage('77', 200, [...jsonResponse, ...attack]));
    await notify(responseBodyMessage('77', '{"a":"attack-report"}'));
    expect(recorder.endings.map(({ transaction }) => transaction.response?.status)).toEqual([200]);
    expect(recorder.reasons).toEqual(['complete']);
  });

  it('that of a transaction that has ended is analysed by itself', async () => {
    const { notify, recorder, engine } = setUp();
    const id = idOf(await notify(requestHeadersMessage('/')));
    await notify(responseHeadersMessage(id));
    const again = await notify(responseHeadersMessage(id, 200, [['x-leak', 'attack-block']]));
    expect(again).toMatchObject({ blocked: true });
    expect(recorder.reasons).toEqual(['complete', 'blocked']);
    expect(engine.liveTransactions).toBe(0);
  });
});

describe('the time to live', () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  it.each([
    ['30s', 30_000],
    ['500', 500],
    ['1d', 86_400_000],
    // Nonsense: the default of the handler.
    ['a while', 60_000],
    ['0', 60_000],
  ])("is HAProxy's argument, %j", async (timeout, durationMs) => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const { notify, recorder } = setUp();
    await notify(requestHeadersMessage('/', undefined, { timeout: string(timeout) }));
    vi.advanceTimersByTime(durationMs - 1);
    expect(recorder.reasons).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(recorder.reasons).toEqual(['expired']);
  });
});

describe('what goes wrong inside', () => {
  it('one message does not keep the next from being analysed', async () => {
    let begun = 0;
    const tracer: Tracer = {
      begin(request, spanId) {
        begun += 1;
        const trace = localTracer.begin(request, spanId);
        if (begun > 1) return trace;
        return {
          ...trace,
          get spanId(): string {
            throw new Error('no span today');
          },
        };
      },
    };
    const { notify, observer } = setUp({ tracer });
    const variables = await notify(
      requestHeadersMessage('/'),
      responseHeadersMessage(undefined, 200, [['x-leak', 'attack-block']]),
    );
    expect(variables).toMatchObject({ blocked: true });
    expect(observer.told).toEqual([`failed ${messageNames.requestHeaders}: no span today`]);
  });

  it('a tracer that fails costs the trace, not the inspection', async () => {
    const tracer: Tracer = {
      begin() {
        throw new Error('no tracer today');
      },
    };
    const { notify } = setUp({ tracer });
    expect(await notify(requestHeadersMessage('/?q=attack-block'))).toMatchObject({ blocked: true });
  });

  it('trace headers that fail cost the trace headers, not the verdict', async () => {
    const tracer: Tracer = {
      begin: (request, spanId) => ({
        ...localTracer.begin(request, spanId),
        propagation() {
          throw new SpopError('SPOP_ACK_EMPTY', 'nothing to inject');
        },
      }),
    };
    const { notify, observer } = setUp({ tracer });
    expect(await notify(requestHeadersMessage('/?q=attack-block'))).toMatchObject({ blocked: true });
    expect(observer.told).toEqual(['failed trace headers: nothing to inject']);
  });
});

it('says partial, not pass, when the WAF had no time to look at everything', async () => {
  const { notify } = setUp({ wafTimeoutUs: 1 });
  const { verdict } = await notify(requestHeadersMessage(`/?q=${'a%20'.repeat(1000)}`));
  expect(verdict).toBe('partial');
});

describe('trace headers', () => {
  const tracer: Tracer = {
    begin: (request, spanId) => ({
      ...localTracer.begin(request, spanId),
      propagation: () => [['x-datadog-trace-id', '42']],
    }),
  };

  it('go to the origin with the request', async () => {
    const variables = await setUp({ tracer }).notify(requestHeadersMessage('/'));
    expect(variables).toMatchObject({ tracing_x_datadog_trace_id: '42' });
  });

  it('do not follow a response', async () => {
    const variables = await setUp({ tracer }).notify(responseHeadersMessage(undefined));
    expect(variables).not.toHaveProperty('tracing_x_datadog_trace_id');
  });
});

describe('the version of the configuration', () => {
  const withVersion = (version: string) =>
    requestHeadersMessage('/', undefined, { conf_version: string(version) });

  it('is reported once for each that is not ours', async () => {
    const { notify, observer } = setUp();
    for (const version of ['0.9.0', '0.9.0', configurationVersion, '2.0.0', '0.9.0']) {
      await notify(withVersion(version));
    }
    expect(observer.told).toEqual([
      `configuration 0.9.0 ${configurationVersion}`,
      `configuration 2.0.0 ${configurationVersion}`,
    ]);
  });

  it('is not missed in a configuration that does not send it', async () => {
    const { notify, observer } = setUp();
    await notify(requestHeadersMessage('/'));
    expect(observer.told).toEqual([]);
  });

  it('cannot be made up without end', async () => {
    const { notify, observer } = setUp();
    for (let index = 0; index < 100; index += 1) await notify(withVersion(`9.${index}`));
    expect(observer.told.length).toBeLessThan(20);
  });
});
