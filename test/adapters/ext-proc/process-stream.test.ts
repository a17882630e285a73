import { Buffer } from 'node:buffer';
import { gzipSync } from 'node:zlib';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { type Done, openScene, struct } from '../../support/ext-proc-streams.ts';
import { reportingDoor } from '../../support/test-engine.ts';

const partial = 'BUFFERED_PARTIAL';
const modeOf = (done: Done | undefined): unknown =>
  typeof done === 'object' ? done['mode_override'] : undefined;
const kinds = (done: readonly Done[]): string[] =>
  done.map((one) =>
    one === 'end'
      ? 'end'
      : (Object.keys(one).find(
          (key) => key.includes('_') && !key.startsWith('dynamic') && !key.startsWith('mode'),
        ) ?? ''),
  );
const textsOf = (done: Done | undefined): Record<string, unknown> | undefined => {
  const texts = JSON.stringify(done === 'end' ? undefined : done?.['dynamic_metadata']);
  if (texts === undefined) return undefined;
  return Object.fromEntries(
    [...texts.matchAll(/"(verdict|rule_ids|trace_id|security_response_id)":\{"string_value":"([^"]*)"/g)].map(
      ([, key, value]) => [key, value],
    ),
  );
};
const immediate = (done: Done | undefined): Record<string, unknown> | undefined =>
  typeof done === 'object' ? (done['immediate_response'] as Record<string, unknown> | undefined) : undefined;

describe('a request without a body', () => {
  it('goes on after its headers, and its stream ends after those of the response', () => {
    const { open, recorder, handler, streams } = openScene();
    const envoy = open();
    const request = envoy.request('/');
    expect(kinds(request)).toEqual(['request_headers']);
    expect(modeOf(request[0])).toBeUndefined();
    expect(textsOf(request[0])).toMatchObject({
      verdict: 'pass',
      trace_id: expect.stringMatching(/^[0-9a-f]+$/),
    });
    expect(kinds(envoy.response(200))).toEqual(['response_headers', 'end']);
    expect(recorder.reasons).toEqual(['complete']);
    envoy.close();
    expect([handler.liveTransactions, streams.size]).toEqual([0, 0]);
  });

  it('that is an attack is answered with the page, and its stream ends', () => {
    const { open, recorder } = openScene();
    const [answer, ...rest] = open().request('/?q=attack-json');
    expect(immediate(answer)).toMatchObject({ status: { code: 418 }, details: 'appsec_blocked{block-json}' });
    expect(immediate(answer)).not.toHaveProperty('grpc_status');
    expect(String(immediate(answer)?.['body'])).toContain('security_response_id');
    expect(textsOf(answer)).toMatchObject({ verdict: 'block', rule_ids: 'block-json' });
    expect(rest).toEqual(['end']);
    expect(recorder.reasons).toEqual(['blocked']);
  });

  it('that is to be redirected gets the Location', () => {
    const [answer] = openScene().open().request('/?q=attack-redirect');
    expect(immediate(answer)?.['status']).toEqual({ code: 302 });
    expect(JSON.stringify(immediate(answer)?.['headers'])).toContain('"Location"');
    expect(immediate(answer)).not.toHaveProperty('body');
  });

  it('with escapes that are none is looked at like any other', () => {
    const [answer] = openScene().open().request('/%zz%zz%zz%zz%zz%zz?x=attack-block');
    expect(immediate(answer)?.['status']).toEqual({ code: 403 });
  });

  it('that matched goes on, and Envoy is told', () => {
    const [answer] = openScene().open().request('/?q=attack-report');
    expect(textsOf(answer)).toMatchObject({ verdict: 'report', rule_ids: 'report-1,report-2' });
  });
});

describe('a request with a body', () => {
  it('is held with its body until there is a verdict', () => {
    const envoy = openScene().open();
    const headers = envoy.post('/');
    expect(modeOf(headers[0])).toEqual({ request_body_mode: partial });
    expect(textsOf(headers[0])).toBeUndefined();
    const [answer, end] = envoy.requestBody('{"q":"attack-block"}');
    expect(immediate(answer)?.['status']).toEqual({ code: 403 });
    expect(end).toBe('end');
  });

  it('goes on when there is nothing in it', () => {
    const { open, recorder } = openScene();
    const envoy = open();
    envoy.post('/');
    const [answer] = envoy.requestBody('{"q":"hello"}');
    expect(kinds([answer ?? 'end'])).toEqual(['request_body']);
    expect(textsOf(answer)).toMatchObject({ verdict: 'pass' });
    envoy.response(200);
    expect(recorder.reasons).toEqual(['complete']);
  });

  it('of which only the beginning fitted is looked at as far as it came, and said to be partial', () => {
    const envoy = openScene().open();
    envoy.post('/', [['content-length', '5000']]);
    expect(immediate(envoy.requestBody('{"q":"attack-block", "more":"', false)[0])).toBeDefined();
    const other = openScene().open();
    other.post('/');
    expect(textsOf(other.requestBody('{"q":"hello', false)[0])).toMatchObject({ verdict: 'partial' });
  });

  it.each([
    ['a form', 'application/x-www-form-urlencoded', 'q=attack-block'],
    [
      'a multipart form',
      'multipart/form-data; boundary=b',
      '--b\r\ncontent-disposition: form-data; name="q"\r\n\r\nattack-block\r\n--b--',
    ],
    ['XML', 'application/xml', '<q>attack-block</q>'],
    ['text', 'text/plain', 'attack-block'],
    ['JSON with a malformed parameter', 'application/json; charset="x', '{"q":"attack-block"}'],
  ])('that is %s is looked at', async (_what, type, body) => {
    const envoy = openScene().open();
    envoy.request('/', { method: 'POST', headers: [['content-type', type]] });
    envoy.requestBody(body);
    await vi.waitFor(() => expect(immediate(envoy.call.done[1])).toBeDefined());
  });

  it('that is compressed is looked at, and its answer comes when it is', async () => {
    const envoy = openScene().open();
    envoy.post('/', [['content-encoding', 'gzip']]);
    expect(envoy.requestBody(gzipSync('{"q":"attack-block"}'))).toEqual([]);
    await vi.waitFor(() => expect(immediate(envoy.call.done.at(-2))).toBeDefined());
    expect(envoy.call.done.at(-1)).toBe('end');
  });

  it.each(['GET', 'HEAD', 'OPTIONS', 'TRACE'])(
    'that %s does not announce is asked for, for Envoy knows better',
    (method) => {
      const [answer] = openScene().open().request('/', { method, end: false });
      expect(modeOf(answer)).toEqual({ request_body_mode: partial });
    },
  );

  it('without a body limit is not asked for its body', () => {
    const [answer] = openScene({ engine: { bodyLimitBytes: 0 } })
      .open()
      .post('/');
    expect(modeOf(answer)).toBeUndefined();
  });

  it.each([
    [
      'an upgrade',
      'GET',
      [
        ['connection', 'keep-alive, Upgrade'],
        ['upgrade', 'websocket'],
      ],
    ],
    ['a tunnel over HTTP/2', 'CONNECT', [[':protocol', 'websocket']]],
    ['gRPC', 'POST', [['content-type', 'application/grpc']]],
    ['gRPC with JSON', 'POST', [['content-type', 'application/grpc+json']]],
  ] as const)('that is %s is not asked for it', (_what, method, headers) => {
    const [answer] = openScene().open().request('/', { method, headers, end: false });
    expect(modeOf(answer)).toBeUndefined();
  });

  it('that asks for an upgrade beside a body of its own is looked at as it passes, to its announced end', () => {
    const envoy = openScene().open();
    const body = '{"q":"attack-block"}';
    const headers = [
      ['connection', 'upgrade'],
      ['upgrade', 'websocket'],
      ['content-length', String(body.length)],
      ['content-type', 'application/json'],
    ] as const;
    const [answer] = envoy.request('/', { method: 'POST', headers });
    expect(modeOf(answer)).toEqual({ request_body_mode: 'STREAMED' });
    expect(immediate(envoy.requestBody(body, false)[0])).toBeDefined();
  });

  it('of a Connect stream is looked at as it passes, for it may wait for an answer', () => {
    const headers = [['content-type', 'application/connect+json']] as const;
    const [answer] = openScene().open().request('/', { method: 'POST', headers });
    expect(modeOf(answer)).toEqual({ request_body_mode: 'STREAMED' });
  });
});

describe('a response', () => {
  const requested = (options = {}) => {
    const scene = openScene(options);
    const envoy = scene.open();
    envoy.request('/');
    return { ...scene, envoy };
  };

  it('is blocked by its headers, its JSON body still to come', () => {
    const { envoy } = requested();
    const [answer, end] = envoy.response(200, [
      ['content-type', 'application/json'],
      ['x-leak', 'attack-block'],
    ]);
    expect(immediate(answer)?.['status']).toEqual({ code: 403 });
    expect(end).toBe('end');
  });

  it('is blocked by its body, held until then', () => {
    const { envoy } = requested();
    expect(modeOf(envoy.jsonResponse()[0])).toEqual({ response_body_mode: partial });
    expect(immediate(envoy.responseBody('{"a":"attack-block"}')[0])).toBeDefined();
  });

  it('goes on when there is nothing in its body, and the stream ends', () => {
    const { envoy, recorder } = requested();
    envoy.jsonResponse();
    expect(kinds(envoy.responseBody('{"a":1}'))).toEqual(['response_body', 'end']);
    expect(recorder.reasons).toEqual(['complete']);
  });

  it.each([
    ['no JSON', 200, [['content-type', 'text/html']]],
    ['a stream of events', 200, [['content-type', 'text/event-stream']]],
    ['a switch of protocols', 101, [['upgrade', 'websocket']]],
  ] as const)(
    'that is %s is not asked for its body, and the stream ends at once',
    (_what, status, headers) => {
      const { envoy } = requested();
      const answer = envoy.response(status, headers);
      expect(kinds(answer)).toEqual(['response_headers', 'end']);
      expect(modeOf(answer[0])).toBeUndefined();
    },
  );

  it('that nobody asked for through us is analysed by itself, and Envoy may send it on', () => {
    const { open, recorder } = openScene();
    expect(kinds(open().response(400, [['server', 'envoy']]))).toEqual(['response_headers', 'end']);
    expect(immediate(open().response(200, [['x-leak', 'attack-block']])[0])).toBeDefined();
    expect(recorder.reasons).toEqual(['complete', 'blocked']);
  });

  it('without a status is let through', () => {
    const { open } = openScene();
    expect(kinds(open().send({ response_headers: {} }))).toEqual(['response_headers', 'end']);
  });
});

describe('bodies in pieces, as Envoy is configured to send them', () => {
  const streamed = { request_body_mode: 'STREAMED', response_body_mode: 'STREAMED' };

  it('are answered one by one and blocked as one', () => {
    const envoy = openScene().open();
    envoy.protocolConfig = streamed;
    expect(modeOf(envoy.post('/')[0])).toBeUndefined();
    expect(kinds(envoy.requestBody('{"q":"atta', false))).toEqual(['request_body']);
    expect(kinds(envoy.requestBody('ck-bl', false))).toEqual(['request_body']);
    expect(immediate(envoy.requestBody('ock"}')[0])).toBeDefined();
  });

  it('are over at an empty last piece, at trailers, and at the response', () => {
    const finish = [
      (envoy: ReturnType<ReturnType<typeof openScene>['open']>) => envoy.requestBody(''),
      (envoy: ReturnType<ReturnType<typeof openScene>['open']>) => envoy.trailers('request'),
      (envoy: ReturnType<ReturnType<typeof openScene>['open']>) => envoy.response(200),
    ];
    for (const last of finish) {
      const envoy = openScene().open();
      envoy.protocolConfig = streamed;
      envoy.post('/');
      envoy.requestBody('{"q":"attack-block"}', false);
      expect(immediate(last(envoy)[0])).toBeDefined();
    }
  });

  it('are over when all that was announced has come, whatever their client says of the end', () => {
    const { open, recorder } = openScene();
    const blocked = open();
    blocked.protocolConfig = streamed;
    blocked.post('/', [['content-length', '20']]);
    expect(immediate(blocked.requestBody('{"q":"attack-block"}', false)[0])).toBeDefined();
    const clean = open();
    clean.protocolConfig = streamed;
    clean.post('/', [['content-length', '13']]);
    expect(textsOf(clean.requestBody('{"q":"hello"}', false)[0])).toMatchObject({ verdict: 'pass' });
    expect(kinds(clean.requestBody(''))).toEqual(['request_body']);
    expect(recorder.runs.filter(({ phase }) => phase === 'request-body')).toHaveLength(2);
  });

  it('that go on after what was announced are looked at to their end', () => {
    const envoy = openScene().open();
    envoy.protocolConfig = streamed;
    envoy.post('/', [['content-length', '2']]);
    envoy.requestBody('{}', false);
    expect(immediate(envoy.requestBody('{"q":"attack-block"}')[0])).toBeDefined();
  });

  it('are let through without the engine once it has seen enough', () => {
    const { open, engines } = openScene({ engine: { bodyLimitBytes: 20 } });
    const envoy = open();
    envoy.protocolConfig = streamed;
    envoy.post('/');
    envoy.requestBody('{"q":"hello hello hello', false);
    engines.refusal = { kind: 'shed', reason: 'overload' };
    expect(kinds(envoy.requestBody('and more', false))).toEqual(['request_body']);
    expect(kinds(envoy.requestBody('"}'))).toEqual(['request_body']);
  });

  it('are not looked at when nobody wants them', () => {
    const { open, recorder } = openScene();
    const envoy = open();
    envoy.protocolConfig = streamed;
    envoy.request('/', { method: 'POST', headers: [['content-type', 'image/png']] });
    expect(kinds(envoy.requestBody('attack-block', false))).toEqual(['request_body']);
    expect(recorder.runs.map(({ phase }) => phase)).toEqual(['request-headers']);
  });

  it('that Envoy would hold for ever are asked for in pieces', () => {
    const envoy = openScene().open();
    envoy.protocolConfig = { request_body_mode: 'BUFFERED' };
    const [answer] = envoy.request('/', {
      headers: [
        ['connection', 'upgrade'],
        ['upgrade', 'websocket'],
      ],
      end: false,
    });
    expect(modeOf(answer)).toEqual({ request_body_mode: 'STREAMED' });
  });
});

describe('bodies in full duplex', () => {
  const duplex = {
    request_body_mode: 'FULL_DUPLEX_STREAMED',
    response_body_mode: 'FULL_DUPLEX_STREAMED',
  };
  const piece = (kind: string, body: string, end = false) => ({
    [kind]: {
      response: {
        body_mutation: {
          streamed_response: {
            ...(body === '' ? {} : { body: Buffer.from(body) }),
            ...(end ? { end_of_stream: true } : {}),
          },
        },
      },
    },
  });
  const begun = (options = {}) => {
    const scene = openScene(options);
    const envoy = scene.open();
    envoy.protocolConfig = duplex;
    return { ...scene, envoy };
  };

  it('are held with their headers, and the origin sees nothing of an attack', () => {
    const { envoy, memory } = begun();
    expect(envoy.post('/')).toEqual([]);
    expect(envoy.requestBody('{"q":"attack', false)).toEqual([]);
    expect(memory.bytes).toBeGreaterThan(0);
    const [answer, end] = envoy.requestBody('-block"}');
    expect(immediate(answer)).toBeDefined();
    expect(end).toBe('end');
    expect(memory.bytes).toBe(0);
  });

  it('are sent back byte for byte once there is a verdict', () => {
    const { envoy, memory } = begun();
    envoy.post('/');
    envoy.requestBody('{"q":"he', false);
    const done = envoy.requestBody('llo"}');
    expect(kinds(done)).toEqual(['request_headers', 'request_body', 'request_body']);
    expect(done.slice(1)).toEqual([piece('request_body', '{"q":"he'), piece('request_body', 'llo"}', true)]);
    expect(memory.bytes).toBe(0);
  });

  it('that nobody looks at are sent back as they come', () => {
    const { envoy } = begun();
    expect(
      kinds(envoy.request('/', { method: 'POST', headers: [['content-type', 'application/grpc']] })),
    ).toEqual(['request_headers']);
    expect(envoy.requestBody('ping', false)).toEqual([piece('request_body', 'ping')]);
    expect(kinds(envoy.response(200, [['content-type', 'application/grpc']]))).toEqual(['response_headers']);
    expect(envoy.responseBody('pong', false)).toEqual([piece('response_body', 'pong')]);
    expect(envoy.requestBody('bye')).toEqual([piece('request_body', 'bye', true)]);
    expect(kinds(envoy.trailers('response'))).toEqual(['response_trailers', 'end']);
  });

  it('are over at their trailers', () => {
    const { envoy } = begun();
    envoy.post('/');
    envoy.requestBody('{"q":"hello"}', false);
    expect(kinds(envoy.trailers('request'))).toEqual(['request_headers', 'request_body', 'request_trailers']);
    const other = begun().envoy;
    other.post('/');
    other.requestBody('{"q":"attack-block"}', false);
    expect(immediate(other.trailers('request')[0])).toBeDefined();
  });

  it('of a response are held and blocked before the client has a byte', () => {
    const { envoy } = begun();
    envoy.request('/');
    expect(envoy.jsonResponse()).toEqual([]);
    expect(envoy.responseBody('{"a":"attack-', false)).toEqual([]);
    expect(immediate(envoy.responseBody('block"}')[0])).toBeDefined();
  });

  it('of a response end their stream once they were sent back', () => {
    const { envoy } = begun();
    envoy.request('/');
    envoy.jsonResponse();
    expect(kinds(envoy.responseBody('{"a":1}'))).toEqual(['response_headers', 'response_body', 'end']);
  });

  it('are released unseen when there is no time or no room for them', () => {
    const { envoy, engines, told, memory } = begun();
    envoy.post('/');
    envoy.requestBody('{"q":"attack', false);
    engines.refusal = { kind: 'shed', reason: 'overload' };
    expect(kinds(envoy.requestBody('-block"', false))).toEqual([
      'request_headers',
      'request_body',
      'request_body',
    ]);
    expect(envoy.requestBody('}')).toEqual([piece('request_body', '}', true)]);
    expect([told, memory.bytes]).toEqual([['skipped overload'], 0]);
    const full = begun({ maxHeldBytes: 10 });
    full.envoy.post('/');
    expect(kinds(full.envoy.requestBody('{"q":"hello hello"', false))).toEqual([
      'request_headers',
      'request_body',
    ]);
  });

  it('are released when the engine has seen as much as it looks at', () => {
    const { envoy } = begun({ engine: { bodyLimitBytes: 10 } });
    envoy.post('/');
    expect(kinds(envoy.requestBody('{"q":"hello hello"', false))).toEqual([
      'request_headers',
      'request_body',
    ]);
    expect(envoy.requestBody('}')).toEqual([piece('request_body', '}', true)]);
  });
});

describe('where Envoy only observes', () => {
  const observed = (options = {}) => {
    const scene = openScene(options);
    const envoy = scene.open();
    envoy.observes = true;
    return { ...scene, envoy };
  };

  it('nothing is answered, and the stream is ended after the response', () => {
    const { envoy, recorder } = observed();
    expect(envoy.request('/?q=attack-report')).toEqual([]);
    expect(envoy.response(200)).toEqual(['end']);
    expect(recorder.reasons).toEqual(['complete']);
  });

  it('nothing was blocked, and nothing says so', () => {
    const { envoy, recorder } = observed();
    envoy.request('/?q=attack-block');
    envoy.response(200);
    const [ending] = recorder.endings;
    expect(ending?.transaction.verdict.kind).toBe('report');
    expect(ending?.transaction.wouldBlock).toBe(true);
  });

  it('a body that comes is looked at to its end', () => {
    const { envoy, recorder } = observed();
    envoy.post('/');
    envoy.requestBody('{"q":"attack-', false);
    envoy.requestBody('report"}');
    expect(envoy.jsonResponse()).toEqual([]);
    expect(envoy.responseBody('{"a":"x', false)).toEqual([]);
    expect(envoy.responseBody('"}')).toEqual(['end']);
    expect(recorder.detections.map(({ phase }) => phase)).toEqual(['request-body']);
  });

  it('a body that does not come is not waited for long, and after some seconds not at all', () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    onTestFinished(() => {
      vi.useRealTimers();
    });
    const { open, recorder } = openScene();
    const respond = () => {
      const envoy = open();
      envoy.observes = true;
      envoy.request('/');
      envoy.jsonResponse();
      return envoy;
    };
    const first = respond();
    expect(first.call.done).toEqual([]);
    vi.advanceTimersByTime(1_500);
    expect(first.call.done).toEqual(['end']);
    first.close();
    expect(recorder.reasons).toEqual(['complete']);
    // Two more, until it is certain that none comes.
    for (const late of [respond(), respond()]) {
      vi.advanceTimersByTime(1_500);
      late.close();
      respond();
    }
    vi.advanceTimersByTime(1_500);
    expect(respond().call.done).toEqual(['end']);
  });

  it('while nobody knows whether bodies come, few streams wait to find out', () => {
    const { open } = openScene();
    const waiting = Array.from({ length: 100 }, () => {
      const envoy = open();
      envoy.observes = true;
      envoy.request('/');
      envoy.jsonResponse();
      return envoy;
    }).filter(({ call }) => call.done.length === 0);
    expect(waiting).toHaveLength(32);
    waiting[0]?.responseBody('{}');
    const later = open();
    later.observes = true;
    later.request('/');
    expect(later.jsonResponse()).toEqual([]);
  });

  it('a flood is bounded: what does not fit ends the stream', () => {
    const { envoy, engines, told } = observed();
    engines.refusal = { kind: 'shed', reason: 'overload' };
    envoy.request('/');
    expect(envoy.response(200)).toEqual(['end']);
    expect(told).toEqual(['skipped overload', 'skipped overload']);
  });
});

describe('a door that only reports', () => {
  it('answers Envoy before the analysis, and asks for bodies as they pass', () => {
    const { open } = openScene({ door: reportingDoor });
    const envoy = open();
    const [answer] = envoy.post('/?q=attack-block');
    expect(kinds([answer ?? 'end'])).toEqual(['request_headers']);
    expect(modeOf(answer)).toEqual({ request_body_mode: 'STREAMED' });
    expect(kinds(envoy.requestBody('{"q":"attack-block"}'))).toEqual(['request_body']);
    expect(kinds(envoy.response(200))).toEqual(['response_headers', 'end']);
  });
});

describe('a gRPC call', () => {
  it('is blocked with a status that its client takes for a refusal', () => {
    const headers = [
      ['content-type', 'application/grpc+proto'],
      ['x-note', 'attack-html'],
    ] as const;
    const [answer] = openScene().open().request('/shop.Cart/Add', { method: 'POST', headers });
    expect(immediate(answer)).toMatchObject({ status: { code: 401 }, grpc_status: { status: 7 } });
    expect(String(immediate(answer)?.['body'])).toMatch(/^Request blocked\. Security response id: \S+$/);
    expect(immediate(answer)).not.toHaveProperty('headers');
  });
});

describe('messages that Envoy would not send so', () => {
  it.each([
    ['a body of a request', (envoy) => envoy.requestBody('{"q":1}'), ['request_body']],
    ['a body of a response', (envoy) => envoy.responseBody('{"q":1}'), ['response_body', 'end']],
    ['trailers of a request', (envoy) => envoy.trailers('request'), ['request_trailers']],
    ['trailers of a response', (envoy) => envoy.trailers('response'), ['response_trailers']],
  ] satisfies [string, (envoy: ReturnType<ReturnType<typeof openScene>['open']>) => Done[], string[]][])(
    '%s first is answered',
    (_what, send, expected) => {
      const { open, told } = openScene();
      expect(kinds(send(open()))).toEqual(expected);
      expect(told).toEqual([]);
    },
  );

  it('a body without headers is looked at all the same', () => {
    expect(immediate(openScene().open().requestBody('q=attack-block')[0])).toBeDefined();
  });

  it('repeated headers are let through, and counted', () => {
    const { open, told, recorder } = openScene();
    const envoy = open();
    envoy.request('/');
    expect(kinds(envoy.request('/'))).toEqual(['request_headers']);
    expect(told).toEqual(['disorder request-headers']);
    expect(recorder.runs).toHaveLength(1);
  });

  it('a body after its end is let through, and counted', () => {
    const { open, told } = openScene();
    const envoy = open();
    envoy.post('/');
    envoy.requestBody('{}');
    expect(kinds(envoy.requestBody('more'))).toEqual(['request_body']);
    expect(told).toContain('disorder request-body');
  });

  it.each([
    ['nothing', Buffer.alloc(0)],
    ['noise', Buffer.from('ffffffff', 'hex')],
    ['a kind that is not known', Buffer.from('6200', 'hex')],
  ])('%s ends the stream, which Envoy takes for "go on"', (_what, bytes) => {
    const { open, told } = openScene();
    const envoy = open();
    envoy.stream.message(bytes);
    expect(envoy.call.status).toBe(0);
    expect(told).toEqual(['unknown message']);
  });

  it('a message that is cut off is looked at as far as it goes', () => {
    const { open, told } = openScene();
    const envoy = open();
    const field = (number: number, bytes: Buffer): Buffer =>
      Buffer.concat([Buffer.from([number * 8 + 2, bytes.length]), bytes]);
    const header = field(
      1,
      Buffer.concat([field(1, Buffer.from(':path')), field(3, Buffer.from('/?q=attack-block'))]),
    );
    const whole = field(2, field(1, Buffer.concat([header, header])));
    envoy.stream.message(whole.subarray(0, whole.length - 5));
    expect(immediate(envoy.call.done[0])).toBeDefined();
    expect(told).toEqual(['malformed request-headers']);
  });

  it('nothing is answered after the end', () => {
    const { open } = openScene();
    const envoy = open();
    envoy.request('/?q=attack-block');
    expect(envoy.response(200)).toEqual([]);
  });
});

describe('a message without an engine', () => {
  it.each(['no-engine', 'overload', 'engine-lost'] as const)('(%s) is let through at once', (reason) => {
    const { open, engines, told } = openScene();
    engines.refusal = { kind: 'shed', reason };
    const envoy = open();
    expect(kinds(envoy.post('/?q=attack-block'))).toEqual(['request_headers']);
    expect(kinds(envoy.response(200))).toEqual(['response_headers', 'end']);
    expect(told).toEqual([`skipped ${reason}`, `skipped ${reason}`]);
  });

  it('that came too late is not begun', () => {
    const { open, engines, told, recorder } = openScene();
    const envoy = open();
    envoy.request('/');
    engines.deadlineMs = 0;
    expect(kinds(envoy.response(200))).toEqual(['response_headers', 'end']);
    expect(told).toEqual(['late']);
    expect(recorder.reasons).toEqual(['skipped']);
  });

  it('whose engine is another one now is analysed there, by itself', () => {
    const { open, engines, recorder } = openScene();
    const envoy = open();
    envoy.request('/');
    engines.refusal = { kind: 'shed', reason: 'engine-lost' };
    envoy.trailers('request');
    engines.refusal = undefined;
    engines.thread = 1;
    expect(kinds(envoy.response(200))).toEqual(['response_headers', 'end']);
    expect(recorder.reasons).toContain('complete');
  });

  it('that fails is let through as a mistake of ours', () => {
    const { open, engine, told, recorder } = openScene();
    const envoy = open();
    envoy.request('/');
    engine.inspector.responseHeaders = () => {
      throw new Error('ours');
    };
    expect(kinds(envoy.response(200))).toEqual(['response_headers', 'end']);
    expect(told).toEqual(['failed response-headers: Error: ours']);
    expect(recorder.endings[0]?.transaction.coverage).toBe('error');
  });

  it('is let through unseen while inspection is off, and the stream ends', () => {
    const { open, engine } = openScene();
    engine.enabled = false;
    expect(kinds(open().post('/?q=attack-block'))).toEqual(['request_headers', 'end']);
  });
});

describe('messages of one stream', () => {
  it('go to the engine one at a time, in order', () => {
    const { open, engines } = openScene();
    const envoy = open();
    envoy.protocolConfig = { request_body_mode: 'STREAMED' };
    engines.hold();
    expect(envoy.post('/')).toEqual([]);
    expect(envoy.requestBody('{"q":"attack-', false)).toEqual([]);
    expect(envoy.requestBody('block"}')).toEqual([]);
    engines.release();
    expect(kinds(envoy.call.done)).toEqual(['request_headers', 'request_body', 'immediate_response', 'end']);
  });

  it('that wait are bounded: the stream is not read meanwhile', () => {
    const { open, engines } = openScene();
    const envoy = open();
    engines.hold();
    envoy.post('/');
    for (let count = 0; count < 10; count += 1) envoy.requestBody('x'.repeat(60_000), false);
    expect(envoy.call.paused).toBe(true);
    engines.release();
    expect(envoy.call.paused).toBe(false);
  });

  it('with a large body ask Envoy for time where it grants some', () => {
    const envoy = openScene({ maxMessageTimeoutMs: 700 }).open();
    envoy.post('/');
    const done = envoy.requestBody(`{"q":"${'x'.repeat(70_000)}"}`);
    expect(done[0]).toEqual({ override_message_timeout: { nanos: 700_000_000 } });
    expect(kinds(done.slice(1))).toEqual(['request_body']);
  });
});

describe('the end of a stream', () => {
  it.each([
    ['reset before the response', (envoy) => envoy.close('reset'), 'aborted'],
    ['lost with its connection', (envoy) => envoy.close('lost'), 'aborted'],
  ] satisfies [string, (envoy: ReturnType<ReturnType<typeof openScene>['open']>) => void, string][])(
    '%s ends the transaction as what it is',
    (_what, close, reason) => {
      const { open, recorder, handler } = openScene();
      const envoy = open();
      envoy.request('/');
      close(envoy);
      expect(recorder.reasons).toEqual([reason]);
      expect(handler.liveTransactions).toBe(0);
    },
  );

  it('half closed while nothing is under way is answered with the end', () => {
    const { open, recorder } = openScene();
    const envoy = open();
    envoy.request('/');
    envoy.stream.halfClosed();
    expect(envoy.call.status).toBe(0);
    envoy.close();
    expect(recorder.reasons).toEqual(['no-response']);
  });

  it('half closed while a message is under way waits for its answer', () => {
    const { open, engines } = openScene();
    const envoy = open();
    engines.hold();
    envoy.request('/');
    envoy.stream.halfClosed();
    expect(envoy.call.done).toEqual([]);
    engines.release();
    expect(kinds(envoy.call.done)).toEqual(['request_headers', 'end']);
  });

  it('in the middle of an upload reports what came of it', () => {
    const { open, recorder } = openScene();
    const envoy = open();
    envoy.protocolConfig = { request_body_mode: 'STREAMED' };
    envoy.post('/');
    envoy.requestBody('{"q":"attack-report"', false);
    envoy.close();
    expect(recorder.reasons).toEqual(['aborted']);
    expect(recorder.detections.map(({ phase }) => phase)).toEqual(['request-body']);
  });

  it('while the engine is at work loses nothing and answers nothing', () => {
    const { open, engines, recorder } = openScene();
    const envoy = open();
    engines.hold();
    envoy.request('/');
    envoy.close();
    engines.release();
    expect(envoy.call.done).toEqual([]);
    expect(recorder.endings.length + recorder.runs.length).toBeGreaterThan(0);
  });

  it('by a process that leaves is OK, with what is under way let through', () => {
    const { open, engines, streams } = openScene();
    const envoy = open();
    engines.hold();
    envoy.request('/');
    for (const stream of streams) stream.letGo();
    expect(kinds(envoy.call.done)).toEqual(['request_headers', 'end']);
  });
});

describe('bodies that are asked for in vain', () => {
  it('are told of', () => {
    const { open, told } = openScene();
    const envoy = open();
    envoy.post('/');
    envoy.response(200);
    const other = open();
    other.post('/');
    other.requestBody('{}');
    expect(told).toEqual(['body missing', 'body came']);
  });
});

describe('what is known of a request', () => {
  const headOf = (
    metadata: string[],
    more: Parameters<ReturnType<ReturnType<typeof openScene>['open']>['request']>[1],
    options = {},
  ) => {
    const { open, recorder } = openScene(options);
    const envoy = open(metadata);
    envoy.request('/a?b=c', more);
    envoy.response(200);
    const transaction = recorder.endings[0]?.transaction;
    if (transaction?.request === undefined) throw new Error('no request');
    return { request: transaction.request, transaction };
  };

  it('is what HTTP/1.1 has in its first lines', () => {
    const { request } = headOf([], {
      headers: [
        ['x-forwarded-proto', 'https'],
        ['accept', '*/*'],
      ],
    });
    expect(request).toMatchObject({ method: 'GET', target: '/a?b=c', https: true });
    expect(request.headers).toEqual([
      ['host', 'shop.test'],
      ['x-forwarded-proto', 'https'],
      ['accept', '*/*'],
    ]);
  });

  it('is nothing of the metadata of its stream', () => {
    const metadata = [
      'x-datadog-envoy-integration',
      '1',
      'x-forwarded-for',
      '192.0.2.2',
      'x-envoy-internal',
      'true',
    ];
    const { request } = headOf(metadata, {});
    expect(request.headers.map(([name]) => name)).toEqual(['host']);
    expect(request.peerAddress).toBeUndefined();
  });

  it.each([
    [
      'the attribute',
      { attributes: struct('envoy.filters.http.ext_proc', { 'source.address': '203.0.113.7:4711' }) },
      '203.0.113.7',
      4711,
    ],
    [
      'the attribute, IPv6',
      { attributes: struct('envoy.filters.http.ext_proc', { 'source.address': '[2001:db8::1]:80' }) },
      '2001:db8::1',
      80,
    ],
    [
      'x-envoy-external-address',
      {
        headers: [
          ['x-forwarded-for', '1.1.1.1'],
          ['x-envoy-external-address', '203.0.113.8'],
        ] as const,
      },
      '203.0.113.8',
      undefined,
    ],
    [
      'the last entry of X-Forwarded-For',
      { headers: [['x-forwarded-for', '1.1.1.1, 203.0.113.9']] as const },
      '203.0.113.9',
      undefined,
    ],
    ['nobody', { headers: [['x-forwarded-for', 'unknown']] as const }, undefined, undefined],
  ])('the peer is %s', (_what, more, address, port) => {
    const { request } = headOf(['x-datadog-envoy-integration', '1'], more);
    expect([request.peerAddress, request.peerPort]).toEqual([address, port]);
  });

  it.each([
    [
      'the attribute',
      { attributes: struct('envoy.filters.http.ext_proc', { 'source.ip': '198.51.100.4' }) },
      {},
      '198.51.100.4',
    ],
    [
      'the entry that the load balancer wrote',
      { headers: [['x-forwarded-for', '9.9.9.9, 198.51.100.5, 35.1.1.1']] as const },
      {},
      '198.51.100.5',
    ],
    [
      'not known from a single entry',
      { headers: [['x-forwarded-for', '198.51.100.5']] as const },
      {},
      undefined,
    ],
    [
      'what the operator says',
      { headers: [['x-forwarded-for', '9.9.9.9, 198.51.100.5, 35.1.1.1']] as const },
      { handler: { clientIpHeader: 'x-real-ip' } },
      undefined,
    ],
  ])("behind Google's load balancer the client is %s", (_what, more, options, expected) => {
    expect(headOf([], more, options).request.clientIp).toBe(expected);
  });

  it.each([
    ['envoy', ['x-datadog-envoy-integration', '1'], {}],
    ['istio', ['x-datadog-istio-integration', '1'], {}],
    ['envoy-gateway', [], { inKubernetes: true }],
    ['gcp-service-extension', [], {}],
    ['envoy', [], { isUnixSocket: true }],
    ['istio', ['x-datadog-envoy-integration', '1'], { component: 'istio' as const }],
  ])('its component is %s', (component, metadata, handler) => {
    expect(headOf(metadata, {}, { handler }).transaction.application?.component).toBe(component);
  });

  it('its application is what the stream says', () => {
    const metadata = ['x-appsec-service', 'shop', 'x-appsec-env', 'prod', 'x-appsec-version', '7'];
    expect(headOf(metadata, {}).transaction.application).toMatchObject({
      ...{ service: 'shop', environment: 'prod', version: '7', reportOnly: false },
    });
  });

  it.each(['appsec_edge', 'com.google.lb_traffic_extension.shop.chain.waf'])(
    'its application is what %s says',
    (namespace) => {
      const metadata_context = {
        filter_metadata: struct(namespace, { service: 'shop', env: 'prod', report_only: 'true' }),
      };
      expect(headOf([], { metadata_context }).transaction.application).toMatchObject({
        service: 'shop',
        environment: 'prod',
        reportOnly: true,
      });
    },
  );

  it('its application is its route, where the operator wants that', () => {
    const attributes = struct('envoy.filters.http.ext_proc', {
      'xds.route_name': 'httproute/web/shop/rule/0/match/0/*',
    });
    const options = { handler: { serviceFromRoute: true } };
    expect(headOf([], { attributes }, options).transaction.application?.service).toBe('web/shop');
    expect(headOf([], { attributes }).transaction.application?.service).toBeUndefined();
    expect(
      headOf(['x-appsec-service', 'cart'], { attributes }, options).transaction.application?.service,
    ).toBe('cart');
  });

  it('an application that only reports is not blocked, and its bodies are not held', () => {
    const envoy = openScene().open(['x-appsec-report-only', 'true']);
    const [answer] = envoy.post('/?q=attack-block');
    expect(textsOf(answer)).toBeUndefined();
    expect(modeOf(answer)).toEqual({ request_body_mode: 'STREAMED' });
    expect(textsOf(envoy.requestBody('{}')[0])).toMatchObject({ verdict: 'report', rule_ids: 'block-1' });
  });

  it('is complete without a path for CONNECT, and without anything', () => {
    const { open, recorder } = openScene();
    open().send({ request_headers: {} });
    expect(recorder.runs).toHaveLength(1);
    const envoy = open();
    envoy.send({
      request_headers: {
        headers: {
          headers: [
            { key: ':method', raw_value: Buffer.from('CONNECT') },
            { key: ':authority', raw_value: Buffer.from('db:5432') },
          ],
        },
      },
    });
    envoy.response(200);
    expect(recorder.endings[0]?.transaction.request?.target).toBe('db:5432');
  });
});
