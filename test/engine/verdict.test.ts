import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BlockPages } from '../../src/engine/block-page.ts';
import type { HeaderList } from '../../src/engine/http.ts';
import { verdictOf } from '../../src/engine/verdict.ts';
import { requestHead, testEngine } from '../support/test-engine.ts';

const id = '0aa1';
const accept = (...values: string[]): HeaderList => values.map((value) => ['accept', value]);
const redirectTo = (parameters: Record<string, unknown>, headers: HeaderList = []) =>
  verdictOf({ redirect_request: { security_response_id: id, ...parameters } }, true, headers);
const blockWith = (parameters: Record<string, unknown>, headers: HeaderList = []) =>
  verdictOf({ block_request: { security_response_id: id, ...parameters } }, true, headers);

describe('without an action', () => {
  it('nothing matched is a pass, a match a report', () => {
    expect(verdictOf({}, false, [])).toEqual({ kind: 'pass' });
    expect(verdictOf({}, true, [])).toEqual({ kind: 'report' });
  });
});

describe('block_request', () => {
  it.each([
    [403, 403],
    [200, 200],
    [599, 599],
    ['418', 418],
    [199, 403],
    [600, 403],
    [99, 403],
    [403.5, 403],
    ['', 403],
    [undefined, 403],
    [null, 403],
  ])('with status %j answers %d', (given, status) => {
    expect(blockWith({ status_code: given })).toMatchObject({ kind: 'block', status });
  });

  it.each([
    ['html', accept('application/json'), 'html'],
    ['json', accept('text/html'), 'json'],
    ['auto', accept('text/html'), 'html'],
    ['auto', accept('application/json'), 'json'],
    ['auto', accept('text/html, application/json'), 'html'],
    ['auto', accept('application/json, text/html'), 'json'],
    ['auto', accept('application/xhtml+xml', 'TEXT/HTML;q=0.9'), 'html'],
    ['auto', accept('*/*'), 'json'],
    ['auto', [], 'json'],
    ['pdf', accept('text/html'), 'html'],
    [undefined, accept('text/html'), 'html'],
  ])('of type %j for Accept %j answers with %s', (type, headers, expected) => {
    expect(blockWith({ type }, headers as HeaderList)).toMatchObject({ type: expected });
  });

  it('gets an id when libddwaf gave none', () => {
    expect(verdictOf({ block_request: {} }, true, [])).toMatchObject({
      securityResponseId: expect.stringMatching(/^[0-9a-f-]{36}$/),
    });
  });
});

describe('redirect_request', () => {
  it('outranks block_request', () => {
    const actions = { block_request: {}, redirect_request: { location: '/x' } };
    expect(verdictOf(actions, true, [])).toMatchObject({ kind: 'redirect', location: '/x' });
  });

  it.each([
    [302, 302],
    ['307', 307],
    [399, 399],
    [299, 303],
    [400, 303],
    [undefined, 303],
  ])('with status %j answers %d', (given, status) => {
    expect(redirectTo({ location: '/x', status_code: given })).toMatchObject({ kind: 'redirect', status });
  });

  it.each(['', undefined, 7, '/a\r\nSet-Cookie: a=b', '/a\u0000b', '/a\u007f'])(
    'with Location %j is a plain block',
    (location) => {
      expect(redirectTo({ location, status_code: 302 }, accept('text/html'))).toEqual({
        kind: 'block',
        status: 403,
        type: 'html',
        securityResponseId: id,
      });
    },
  );

  it('has the id in place of every placeholder', () => {
    const location = '/?a=[security_response_id]&b=[security_response_id]';
    expect(redirectTo({ location })).toMatchObject({ location: '/?a=0aa1&b=0aa1' });
  });
});

describe('block pages', () => {
  const block = { kind: 'block', status: 403, type: 'html', securityResponseId: id } as const;

  it('carry the id in both built-in forms', () => {
    for (const type of ['html', 'json'] as const) {
      expect(new BlockPages().render({ ...block, type }).body.toString()).toContain(id);
    }
    const json = JSON.parse(new BlockPages().render({ ...block, type: 'json' }).body.toString());
    expect(json).toMatchObject({ security_response_id: id });
  });

  it('of the operator have the id in every place, and all else as it stands', () => {
    const html = "$& $1 $$ $` [security_response_id] $' [security_response_id]";
    expect(new BlockPages({ html }).render(block).body.toString()).toBe(`$& $1 $$ $\` ${id} $' ${id}`);
  });

  it('take an id with replacement patterns as it is', () => {
    const html = 'a[security_response_id]b';
    const rendered = new BlockPages({ html }).render({ ...block, securityResponseId: "$&$'$`$$" });
    expect(rendered.body.toString()).toBe("a$&$'$`$$b");
  });

  it('of one type do not stand in for the other', () => {
    const pages = new BlockPages({ html: '<p>ours' });
    expect(pages.render({ ...block, type: 'json' }).body.toString()).toContain('"errors"');
    expect(pages.render(block).headers).toContainEqual(['Content-Type', 'text/html; charset=utf-8']);
  });

  it('never exceed what there is room for', () => {
    fc.assert(
      fc.property(fc.nat({ max: 3000 }), fc.string({ maxLength: 2000 }), (room, html) => {
        const { body, substituted } = new BlockPages({ html }).render(block, room);
        expect(body.length).toBeLessThanOrEqual(room);
        expect(substituted).toBe(Buffer.byteLength(html.replaceAll('[security_response_id]', id)) > room);
      }),
    );
  });

  it('know the size of the largest of them', () => {
    const html = 'é[security_response_id]'.repeat(100);
    const rendered = new BlockPages({ html }).render({
      ...block,
      securityResponseId: 'x'.repeat(36),
    });
    expect(new BlockPages({ html }).largestPageBytes).toBe(rendered.body.length);
  });
});

describe('the actions of a ruleset', () => {
  it.each([
    ['attack-block', { kind: 'block', status: 403, type: 'json' }],
    ['attack-json', { kind: 'block', status: 418, type: 'json' }],
    ['attack-html', { kind: 'block', status: 401, type: 'html' }],
    ['attack-odd-status', { kind: 'block', status: 403 }],
    ['attack-redirect', { kind: 'redirect', status: 302 }],
    ['attack-odd-redirect', { kind: 'redirect', status: 303, location: '/blocked' }],
    ['attack-nowhere', { kind: 'block', status: 403 }],
    ['attack-report', { kind: 'report' }],
    ['nothing', { kind: 'pass' }],
  ])('%s: %o', (word, expected) => {
    const { engine } = testEngine();
    expect(engine.requestHeaders(requestHead(`/?q=${word}`), 1000).verdict).toMatchObject(expected);
  });

  it('give the page and the event the same id', () => {
    const { engine } = testEngine();
    const { transaction, verdict } = engine.requestHeaders(requestHead('/?q=attack-block'), 1000);
    expect(verdict).toMatchObject({ securityResponseId: transaction.events[0]?.security_response_id });
  });

  it.each([
    ['its headers', { status: 200, headers: [['x-leak', 'attack-block']] as HeaderList }],
    ['its status', { status: 599, headers: [] }],
  ])('block a response for %s', (_what, response) => {
    const { engine, recorder } = testEngine();
    const { transaction } = engine.requestHeaders(requestHead('/', accept('text/html')), 1000);
    expect(engine.responseHeaders(transaction.id, response, 1000).verdict).toMatchObject({
      kind: 'block',
      type: 'html',
    });
    expect(recorder.reasons).toEqual(['blocked']);
  });

  it('block a response for its body', async () => {
    const { engine, recorder } = testEngine();
    const { transaction } = engine.requestHeaders(requestHead('/'), 1000);
    const headers: HeaderList = [['content-type', 'application/json']];
    expect(engine.responseHeaders(transaction.id, { status: 200, headers }, 1000).wantsBody).toBe(true);
    const chunk = { bytes: Buffer.from('{"rows":["attack-block"]}'), declaredSize: undefined };
    expect((await engine.responseBody(transaction.id, chunk, 1000)).verdict.kind).toBe('block');
    expect(recorder.reasons).toEqual(['blocked']);
  });
});
