import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { messageNames } from '../../../src/adapters/haproxy/contract.ts';
import { routeOf, routeOfBeginning } from '../../../src/adapters/haproxy/notify-route.ts';
import { decodeMessages, encodeMessages, type SpoeMessageInput, SpopError } from '../../../src/spop/index.ts';
import * as wire from '../../spop/arbitraries.ts';
import {
  type Arguments,
  binary,
  int64,
  message,
  nothing,
  requestBodyMessage,
  requestHeadersMessage,
  responseBodyMessage,
  responseHeadersMessage,
  string,
} from '../../support/spoe-messages.ts';

const routeOfMessages = (...messages: SpoeMessageInput[]) => routeOf(encodeMessages(messages));
const responseWith = (args: Arguments) => routeOfMessages(message(messageNames.responseHeaders, args));

function thrownBy(step: () => unknown): unknown {
  try {
    step();
  } catch (cause) {
    return cause;
  }
  return undefined;
}

const codeOf = (cause: unknown): unknown => (cause instanceof SpopError ? cause.code : cause);

describe('the route of a NOTIFY', () => {
  it('names the first message and the first identity', () => {
    const route = routeOfMessages(
      message('somebody-elses-msg', { colour: string('blue') }),
      responseHeadersMessage('12'),
      responseBodyMessage('13', '{}'),
    );
    expect(route).toMatchObject({ messageName: 'somebody-elses-msg', identity: '12' });
  });

  it('passes over an identity that is not there yet', () => {
    expect(routeOfMessages(requestBodyMessage(undefined, '{}')).identity).toBeUndefined();
    const both = routeOfMessages(requestBodyMessage(undefined, '{}'), responseHeadersMessage('12'));
    expect(both.identity).toBe('12');
    expect(responseWith({ span_id: int64(12) }).identity).toBeUndefined();
    expect(responseWith({ span_id: nothing }).identity).toBeUndefined();
  });

  it('of nothing is empty', () => {
    expect(routeOf(Buffer.alloc(0))).toMatchObject({
      ...{ messageName: '', identity: undefined, processingTimeoutMs: undefined },
    });
  });

  it.each([
    [string('200ms'), 200],
    [string('1s'), 1000],
    [binary('1m'), 60_000],
    [string('250'), 250],
    [int64(300), 300],
    [{ type: 'int32', value: 40 } as const, 40],
    [string('0'), undefined],
    [int64(0), undefined],
    [int64(-5), undefined],
    [string('soon'), undefined],
    [string(''), undefined],
    [{ type: 'boolean', value: true } as const, undefined],
    [nothing, undefined],
  ])('has a processing time-out of %j: %s ms', (processing_timeout, wanted) => {
    expect(responseWith({ processing_timeout }).processingTimeoutMs).toBe(wanted);
  });

  it('takes the first time-out that is one', () => {
    const route = routeOfMessages(
      message(messageNames.requestHeaders, { processing_timeout: string('never') }),
      message(messageNames.requestBody, { processing_timeout: string('2s') }),
    );
    expect(route.processingTimeoutMs).toBe(2000);
  });

  it('tells kinds of messages apart, and several in one from each', () => {
    const kinds = [
      routeOfMessages(requestHeadersMessage('/')),
      routeOfMessages(requestBodyMessage('1', '{}')),
      routeOfMessages(responseHeadersMessage('1')),
      routeOfMessages(responseBodyMessage('1', '{}')),
      routeOfMessages(requestHeadersMessage('/'), requestBodyMessage('1', '{}')),
    ].map(({ work }) => work.kind);
    expect(new Set(kinds).size).toBe(5);
    expect(routeOfMessages(message('somebody-elses-msg', {})).work.kind).toBe(kinds[4]);
  });

  it('says how large the work is, and guesses low what it takes', () => {
    const body = routeOfMessages(requestBodyMessage('1', 'x'.repeat(100_000))).work;
    expect(body.size).toBeGreaterThan(100_000);
    expect(body.guessUs).toBeLessThan(15_000);
    expect(routeOfMessages(requestBodyMessage('1', 'x'.repeat(10_000_000))).work.guessUs).toBeLessThan(
      25_000,
    );
    expect(routeOfMessages(requestHeadersMessage(`/${'x'.repeat(10_000)}`)).work.guessUs).toBe(100);
  });

  it('finds in the beginning of a payload what is there', () => {
    const payload = encodeMessages([
      message(messageNames.requestBody, { span_id: string('12'), body: string('x'.repeat(5_000)) }),
    ]);
    const wanted = { messageName: messageNames.requestBody, identity: '12' };
    expect(routeOfBeginning(payload.subarray(0, 1_000))).toEqual(wanted);
    const nothing = { messageName: '', identity: undefined };
    expect(routeOfBeginning(payload.subarray(0, 5))).toEqual(nothing);
    expect(routeOfBeginning(payload)).toEqual(wanted);
  });

  it('throws SpopError or nothing, whatever the bytes, and for none but those that cannot be decoded', () => {
    const any = fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes));
    fc.assert(
      fc.property(fc.oneof(wire.mutatedPayload, any), (payload) => {
        const cause = thrownBy(() => routeOf(payload));
        // What is let pass is never refused where it is decoded: no other thread has to know that it could be.
        const ofDecoding = thrownBy(() => decodeMessages(payload));
        expect(codeOf(ofDecoding)).toBe(codeOf(cause));
      }),
      { numRuns: 5_000 },
    );
  });

  it('finds in any messages what decoding finds', () => {
    const own = fc.record({
      name: fc.constantFrom(...Object.values(messageNames)),
      args: fc.array(
        fc.record({
          name: fc.constantFrom('span_id', 'processing_timeout', 'body', ''),
          value: wire.typedData,
        }),
        { maxLength: 4 },
      ),
    });
    fc.assert(
      fc.property(fc.array(fc.oneof(own, wire.message), { maxLength: 4 }), (messages) => {
        const payload = encodeMessages(messages);
        const decoded = decodeMessages(payload);
        const route = routeOf(payload);
        expect(route.messageName).toBe(decoded[0]?.name ?? '');
        const named = decoded.flatMap(({ args }) => args).filter(({ name }) => name === 'span_id');
        const texts = named.filter(({ value }) => value.type === 'string' || value.type === 'binary');
        expect(route.identity === undefined).toBe(texts.length === 0);
        expect(route.work.guessUs).toBeGreaterThan(0);
      }),
    );
  });
});

const workOf = (messages: number) =>
  routeOf(encodeMessages(Array(messages).fill(requestHeadersMessage('/')))).work;

// Found by fuzz/: 1,500 messages in one NOTIFY kept an engine thread busy for 100 ms, were taken for the work of one,
// and those of other connections were sent to wait behind them, until they were too late.
it('takes each message of a NOTIFY for work of its own', () => {
  expect(workOf(1_000).guessUs).toBeGreaterThan(900 * workOf(1).guessUs);
  expect(workOf(1_000).size).toBeGreaterThan(900 * workOf(1).size);
});

it('takes a NOTIFY without messages for work, too', () => {
  expect(workOf(0).guessUs).toBeGreaterThan(0);
});
