// A handler that knows where it lives: identities name the owner, so that later messages find it.
import { describe, expect, it } from 'vitest';
import { NotifyHandler } from '../../../src/adapters/haproxy/handler.ts';
import { formatIdentity, type Owner, parseIdentity } from '../../../src/adapters/haproxy/identity.ts';
import type { NotifyObserver } from '../../../src/adapters/haproxy/notify-observer.ts';
import { encodeSkipped } from '../../../src/adapters/haproxy/notify-route.ts';
import { BlockPages } from '../../../src/engine/block-page.ts';
import { DeferredInspector } from '../../../src/engine/deferred-inspector.ts';
import type { SpoeMessageInput } from '../../../src/spop/index.ts';
import { silentObserver, variablesFor } from '../../support/notify-answers.ts';
import {
  requestBodyMessage,
  requestHeadersMessage,
  responseBodyMessage,
  responseHeadersMessage,
} from '../../support/spoe-messages.ts';
import { jsonHeaders, reportingDoor, testEngine } from '../../support/test-engine.ts';

const owner: Owner = { instance: '1111111111111111', thread: 2 };
const formerOwner: Owner = { instance: '2222222222222222', thread: 0 };
const trace = '0123456789abcdef0123456789abcdef';

const observer: NotifyObserver = {
  ...silentObserver,
  failed(name, cause) {
    throw new Error(name, { cause });
  },
  frameFailed(cause) {
    throw cause;
  },
};

function setUp({ observing = false, owned = true } = {}) {
  const { engine, recorder } = testEngine();
  const bounds = { messages: 100, bytes: 1_000_000 };
  const silently = { skipped: () => undefined, failed: () => undefined };
  const inspector = observing ? new DeferredInspector(engine, reportingDoor, bounds, silently) : engine;
  const handler = new NotifyHandler({
    inspector,
    pages: new BlockPages(),
    observer,
    timeToLiveMs: 60_000,
    owner: owned ? owner : undefined,
  });
  const notify = (...messages: SpoeMessageInput[]) => variablesFor(handler, messages);
  return { engine, recorder, handler, notify };
}

const jsonResponse = [['content-type', 'application/json']] as const;

describe('the identity that a request is given', () => {
  it('names span, trace and owner', async () => {
    const { notify, engine } = setUp();
    const { span_id: text, trace_id: traceId } = await notify(requestHeadersMessage('/'));
    const identity = parseIdentity(String(text));
    expect(identity).toMatchObject({ traceId, owner });
    expect(engine.knows(String(identity?.spanId))).toBe(true);
  });

  it('is known in all later messages and not given again', async () => {
    const { notify, recorder } = setUp();
    const headers = [...jsonHeaders, ['content-length', '20']] as const;
    const { span_id: text } = await notify(requestHeadersMessage('/', headers));
    const later = [
      requestBodyMessage(String(text), '{"a":1}'),
      responseHeadersMessage(String(text), 200, jsonResponse),
      responseBodyMessage(String(text), '{"b":1}'),
    ];
    for (const message of later) expect(await notify(message)).not.toHaveProperty('span_id');
    expect(recorder.reasons).toEqual(['complete']);
    expect(recorder.runs.map(({ phase }) => phase)).toHaveLength(4);
  });

  it('is the span id alone without an owner', async () => {
    const { span_id: text } = await setUp({ owned: false }).notify(requestHeadersMessage('/'));
    expect(parseIdentity(String(text))).toMatchObject({ spanId: text, owner: undefined });
  });
});

describe('a transaction of an owner that is gone', () => {
  const former = formatIdentity('4711', trace, formerOwner);

  it('is adopted: its new identity names the new owner, in the same trace, and holds from then on', async () => {
    const { notify, recorder } = setUp();
    const adopted = await notify(responseHeadersMessage(former, 200, jsonResponse));
    const identity = parseIdentity(String(adopted['span_id']));
    expect(identity).toMatchObject({ traceId: trace, owner });
    expect(adopted).toMatchObject({ trace_id: trace, response_body: true });
    const last = await notify(responseBodyMessage(String(adopted['span_id']), '{"b":1}'));
    expect(last).not.toHaveProperty('span_id');
    expect(recorder.endings).toMatchObject([
      { reason: 'complete', transaction: { trace: { traceId: trace } } },
    ]);
  });

  it('is adopted with a body first, and once only', async () => {
    const { notify, engine } = setUp();
    const { span_id: text } = await notify(requestBodyMessage(former, '{"a":1}'));
    expect(parseIdentity(String(text))).toMatchObject({ traceId: trace, owner });
    expect(engine.liveTransactions).toBe(1);
    expect(await notify(responseHeadersMessage(String(text)))).not.toHaveProperty('span_id');
    expect(engine.liveTransactions).toBe(0);
  });

  it('was one of our own thread that was replaced, and is adopted all the same', async () => {
    const ours = formatIdentity('4711', trace, owner);
    const { span_id: text } = await setUp().notify(responseHeadersMessage(ours));
    expect(parseIdentity(String(text))).toMatchObject({ traceId: trace, owner });
  });
});

describe('a message that was answered without the handler', () => {
  it.each([
    [requestBodyMessage('1', '').name, undefined],
    [responseHeadersMessage('1').name, 'skipped'],
    [responseBodyMessage('1', '').name, 'skipped'],
  ])('%s leaves its transaction as %s', async (name, reason) => {
    const { notify, handler, recorder, engine } = setUp();
    const { span_id: text } = await notify(requestHeadersMessage('/'));
    handler.skipped(encodeSkipped(name, String(text)));
    expect(recorder.reasons).toEqual(reason === undefined ? [] : [reason]);
    expect(engine.liveTransactions).toBe(reason === undefined ? 1 : 0);
  });

  it.each(['', 'nonsense', '4711', formatIdentity('4711', trace, formerOwner)])(
    'of nobody here (%s) changes nothing',
    async (text) => {
      const { notify, handler, engine } = setUp();
      await notify(requestHeadersMessage('/'));
      handler.skipped(encodeSkipped('http-response-headers-msg', text));
      expect(engine.liveTransactions).toBe(1);
    },
  );
});

describe('a handler that only observes', () => {
  it('answers with identity and trace and no verdict, and finds its transaction later', async () => {
    const { notify, handler, recorder } = setUp({ observing: true });
    const first = await notify(requestHeadersMessage('/?q=attack-block', jsonHeaders));
    expect(parseIdentity(String(first['span_id']))).toMatchObject({ owner, traceId: first['trace_id'] });
    for (const name of ['verdict', 'blocked', 'rule_ids']) expect(first).not.toHaveProperty(name);
    expect(recorder.runs).toEqual([]);
    expect(await notify(responseHeadersMessage(String(first['span_id'])))).toEqual({
      ...{ request_body: false, response_body: false },
    });
    while (handler.workOnBacklog());
    expect(recorder.detections).toMatchObject([{ verdict: 'report', rules: ['block-1'] }]);
    expect(recorder.reasons).toEqual(['complete']);
  });
});
