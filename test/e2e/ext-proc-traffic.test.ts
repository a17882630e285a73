// What is no attack passes real Envoy as if nobody looked: in the mode that we ask for, and in those that an operator may
// have configured.
import { createHash, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeEachEnvoy } from './support/envoy.ts';
import { GrpcClient, type GrpcOrigin, grpcFrame, startGrpcOrigin } from './support/grpc-site.ts';
import { fetchOnce, Http1Connection, Http2Connection, header } from './support/http-client.ts';
import {
  type ProtectedEnvoy,
  type ProtectedEnvoyPlan,
  shareProtectedEnvoy,
  startProtectedEnvoy,
} from './support/protected-envoy.ts';

const json = { 'content-type': 'application/json' };
const headersOnly = { request_header_mode: 'SEND', response_header_mode: 'SEND' };

const plans: Readonly<Record<string, ProtectedEnvoyPlan>> = {
  'asked for by us': {},
  'streamed, as configured': {
    filter: {
      processing_mode: { ...headersOnly, request_body_mode: 'STREAMED', response_body_mode: 'STREAMED' },
    },
  },
  'in full duplex, as configured': {
    filter: {
      processing_mode: {
        ...headersOnly,
        ...{ request_body_mode: 'FULL_DUPLEX_STREAMED', response_body_mode: 'FULL_DUPLEX_STREAMED' },
        ...{ request_trailer_mode: 'SEND', response_trailer_mode: 'SEND' },
      },
    },
  },
  'never, for overrides are off': { filter: { allow_mode_override: false } },
};

describeEachEnvoy('traffic', (binary) => {
  describe.each(Object.entries(plans))('with bodies %s', (_mode, plan) => {
    // Less than what passes, so that what comes after it is seen, too.
    const site = shareProtectedEnvoy(binary, {
      ...plan,
      env: { DD_APPSEC_BODY_PARSING_SIZE_LIMIT: '1000000' },
    });

    it.each([0, 1, 70_000, 900_000])('passes a body of %d bytes in both directions', async (size) => {
      const { port } = site();
      const body = JSON.stringify({ filler: 'x'.repeat(size) });
      for (const client of [
        () => fetchOnce(port, { method: 'POST', target: '/echo', headers: json, body }),
        async () => {
          const connection = new Http2Connection(port);
          const response = await connection.request({ method: 'POST', target: '/echo', headers: json, body });
          connection.close();
          return response;
        },
      ]) {
        const response = await client();
        expect(response.status).toBe(200);
        expect(response.body === body).toBe(true);
      }
      const response = await fetchOnce(port, { target: `/json?size=${size}` });
      expect(JSON.parse(response.body)).toEqual({ hello: 'world', filler: 'x'.repeat(size) });
    });

    it('passes an upload of 10 MB', async () => {
      const { port } = site();
      const body = randomBytes(10_000_000);
      const headers = { 'content-type': 'application/octet-stream' };
      const response = await fetchOnce(port, { method: 'POST', target: '/echo', headers, body });
      expect(response.status).toBe(200);
      expect(header(response, 'x-body-sha256')).toBe(createHash('sha256').update(body).digest('hex'));
    });

    it.each(['HEAD', 'OPTIONS', 'DELETE', 'PUT'])('passes %s', async (method) => {
      expect((await fetchOnce(site().port, { method, target: '/method' })).status).toBe(200);
    });

    it('passes a slow upload', async () => {
      const connection = new Http1Connection(site().port);
      connection.write(
        'POST /echo HTTP/1.1\r\nhost: site.example\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n',
      );
      for (const piece of ['{"a"', ':', '"bc"}']) {
        await new Promise((resolve) => setTimeout(resolve, 100));
        connection.write(piece.slice(0, 9));
      }
      const response = await connection.response();
      expect([response.status, header(response, 'x-body-size')]).toEqual([200, '9']);
      connection.close();
    });

    it('passes a WebSocket in both directions', async (context) => {
      if (binary.version === '1.39.3' && plan === plans['streamed, as configured'])
        context.skip(
          'Envoy 1.39.3 lets no upgrade through in STREAMED, whatever is answered: its issue 47048',
        );
      const connection = new Http1Connection(site().port);
      connection.write(
        'GET /socket HTTP/1.1\r\nhost: site.example\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n',
      );
      expect((await connection.head()).status).toBe(101);
      for (const text of ['first', 'second', 'third']) {
        connection.write(text);
        expect((await connection.exactly(text.length)).toString()).toBe(text);
      }
      connection.close();
    });

    it('passes events as they happen', async () => {
      const connection = new Http1Connection(site().port);
      connection.write('GET /sse HTTP/1.1\r\nhost: site.example\r\n\r\n');
      expect((await connection.head()).status).toBe(200);
      for (const index of [0, 1, 2]) await connection.until(`data: event ${index}\n\n`);
      connection.close();
    });

    it('passes a JSON response that comes in pieces', async () => {
      const response = await fetchOnce(site().port, { target: '/chunked-json' });
      expect(JSON.parse(response.body)).toMatchObject({ chunked: true });
    });

    it('passes 100 requests at a time of one connection', async () => {
      const client = new Http2Connection(site().port);
      const answers = await Promise.all(
        Array.from({ length: 100 }, (_, index) =>
          client.request({
            method: 'POST',
            target: `/echo?n=${index}`,
            headers: json,
            body: `{"n":${index}}`,
          }),
        ),
      );
      client.close();
      expect(
        answers.map(({ status, body }, index) => status === 200 && body === `{"n":${index}}`),
      ).not.toContain(false);
    });

    it('survives clients that go away in the middle', async () => {
      const { port, daemon } = site();
      for (let count = 0; count < 20; count += 1) {
        const connection = new Http1Connection(port);
        connection.write(
          'POST /echo HTTP/1.1\r\nhost: site.example\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"a":',
        );
        await new Promise((resolve) => setTimeout(resolve, 5));
        connection.close();
      }
      expect((await fetchOnce(port, { target: '/after' })).status).toBe(200);
      await expect.poll(() => daemon.metric('ext_proc_streams')).toBe(0);
      await expect.poll(() => daemon.metric('ext_proc_held_bytes')).toBe(0);
    });

    it("leaves Envoy's own answers alone", async () => {
      const { port } = site();
      for (const [bytes, status] of [
        ['GET / HTTP/1.1\r\n\r\n', 400],
        ['OPTIONS * HTTP/1.1\r\nhost: site.example\r\n\r\n', 404],
      ] as const) {
        const connection = new Http1Connection(port);
        connection.write(bytes);
        expect((await connection.response()).status).toBe(status);
        connection.close();
      }
    });
  });
});

describeEachEnvoy('gRPC', (binary) => {
  describe.each(Object.entries(plans))('with bodies %s', (_mode, plan) => {
    let origin: GrpcOrigin;
    let site: ProtectedEnvoy;
    let client: GrpcClient;
    beforeAll(async () => {
      origin = await startGrpcOrigin();
      site = await startProtectedEnvoy(binary, { ...plan, originHttp2: true, originPort: origin.port });
      client = new GrpcClient(site.port);
    });
    afterAll(async () => {
      client?.close();
      await site?.stop();
      await origin?.stop();
    });

    it.each(['application/grpc', 'application/grpc+json'])(
      'passes a call of one message (%s)',
      async (type) => {
        const call = client.open('/shop.Cart/Add', { 'content-type': type });
        call.stream.end(grpcFrame('{"item":1}'));
        expect(await call.result).toEqual({
          status: '0',
          message: undefined,
          body: grpcFrame('{"item":1}').toString('latin1'),
        });
      },
    );

    it('passes a conversation, each message before the next', async () => {
      const call = client.open('/shop.Cart/Talk');
      let expected = '';
      for (const text of ['one', 'two', 'three']) {
        call.stream.write(grpcFrame(text));
        expected += grpcFrame(text).toString('latin1');
        await expect.poll(call.received).toBe(expected);
      }
      call.stream.end();
      expect((await call.result).status).toBe('0');
    });

    it('refuses an attack with a status that its client understands', async () => {
      const call = client.open('/shop.Cart/Attack', { 'x-note': 'attack-block' });
      call.stream.end(grpcFrame('x'));
      expect(await call.result).toMatchObject({
        status: '7',
        message: expect.stringContaining('Request blocked'),
      });
      expect(origin.calls).not.toContain('/shop.Cart/Attack');
    });
  });
});
