// Whatever order messages come in, with whatever in them, and whenever the stream ends: each message gets an answer that Envoy
// takes for its kind, or the stream has ended with OK; nothing is left behind.
import { Buffer } from 'node:buffer';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openScene } from '../../support/ext-proc-streams.ts';

type Scene = ReturnType<typeof openScene>;
type Envoy = ReturnType<Scene['open']>;
type Step = (envoy: Envoy, scene: Scene) => void;

const attackOrNot = fc.constantFrom('{"q":"hello"}', '{"q":"attack-', 'block"}', '', 'q=attack-report');
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.constantFrom('/', '/?q=attack-block', '/?q=attack-report').map(
    (target): Step =>
      (envoy) =>
        void envoy.request(target),
  ),
  fc.constant<Step>((envoy) => void envoy.post('/')),
  fc.tuple(attackOrNot, fc.boolean()).map(
    ([body, end]): Step =>
      (envoy) =>
        void envoy.requestBody(body, end),
  ),
  fc.tuple(attackOrNot, fc.boolean()).map(
    ([body, end]): Step =>
      (envoy) =>
        void envoy.responseBody(body, end),
  ),
  fc.constantFrom(200, 101, 0, 599).map(
    (status): Step =>
      (envoy) =>
        void envoy.response(status),
  ),
  fc.constant<Step>((envoy) => void envoy.jsonResponse()),
  fc.constantFrom('request' as const, 'response' as const).map(
    (of): Step =>
      (envoy) =>
        void envoy.trailers(of),
  ),
  // Noise does not say that Envoy only observes, as every message of one that does so says.
  fc.uint8Array({ maxLength: 40 }).map(
    (bytes): Step =>
      (envoy) => {
        if (!envoy.observes) envoy.stream.message(Buffer.from(bytes));
      },
  ),
  fc.constant<Step>((envoy) => envoy.stream.halfClosed()),
  fc.constantFrom('overload' as const, 'engine-lost' as const).map(
    (reason): Step =>
      (_envoy, { engines }) => {
        engines.refusal = engines.refusal === undefined ? { kind: 'shed', reason } : undefined;
      },
  ),
);

const configs = fc.constantFrom<object | undefined>(
  undefined,
  {},
  { request_body_mode: 'STREAMED', response_body_mode: 'STREAMED' },
  { request_body_mode: 'BUFFERED', response_body_mode: 'BUFFERED_PARTIAL' },
  { request_body_mode: 'FULL_DUPLEX_STREAMED', response_body_mode: 'FULL_DUPLEX_STREAMED' },
);

describe('any sequence of messages', () => {
  it('ends in answers of the right kind, and leaves nothing behind', () => {
    fc.assert(
      fc.property(configs, fc.boolean(), fc.array(step, { maxLength: 12 }), (config, observes, steps) => {
        const scene = openScene();
        const envoy = scene.open();
        envoy.protocolConfig = config;
        envoy.observes = observes;
        for (const take of steps) take(envoy, scene);
        expect([undefined, 0]).toContain(envoy.call.status);
        const ends = envoy.call.done.filter((one) => one === 'end').length;
        expect(ends).toBeLessThanOrEqual(1);
        if (ends === 1) expect(envoy.call.done.at(-1)).toBe('end');
        if (observes) expect(envoy.call.done.filter((one) => one !== 'end')).toEqual([]);
        envoy.close();
        expect([scene.handler.liveTransactions, scene.memory.bytes, scene.streams.size]).toEqual([0, 0, 0]);
        expect(scene.engine.liveTransactions).toBe(0);
        expect(scene.told.filter((line) => line.startsWith('failed'))).toEqual([]);
      }),
      { numRuns: 400 },
    );
  });

  it('of full duplex sends back every byte that was not blocked, once, in order', () => {
    const pieces = fc.array(fc.string({ maxLength: 30 }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(pieces, fc.boolean(), fc.nat(8), (texts, byTrailers, refuseAt) => {
        const scene = openScene({ engine: { bodyLimitBytes: 60 } });
        const envoy = scene.open();
        envoy.protocolConfig = { request_body_mode: 'FULL_DUPLEX_STREAMED' };
        envoy.post('/');
        for (const [index, text] of texts.entries()) {
          if (index === refuseAt) scene.engines.refusal = { kind: 'shed', reason: 'overload' };
          envoy.requestBody(text, !byTrailers && index === texts.length - 1);
        }
        if (byTrailers) envoy.trailers('request');
        const sent = envoy.call.done.flatMap((one) => {
          const body = typeof one === 'object' ? (one['request_body'] as Streamed | undefined) : undefined;
          return body?.response?.body_mutation?.streamed_response.body?.toString() ?? [];
        });
        expect(sent.join('')).toBe(texts.join(''));
        expect(Object.keys(envoy.call.done[0] ?? {})).toContain('request_headers');
        expect(scene.memory.bytes).toBe(0);
      }),
      { numRuns: 300 },
    );
  });
});

interface Streamed {
  readonly response?: { readonly body_mutation?: { readonly streamed_response: { readonly body?: Buffer } } };
}
