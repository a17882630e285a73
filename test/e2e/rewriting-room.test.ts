// Headers that an operator's rules add while HAProxy holds a body or waits for the agent: its buffer is full then, but
// for what tune.maxrewrite keeps free. Without that room the client gets a 500 in place of the page.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { fetchOnce, Http1Connection, Http2Connection, header } from './support/http-client.ts';
import { describeEachHaproxy, type StubbedProxy, startStubbedProxy } from './support/stubbed-proxy.ts';

const upload = Buffer.alloc(100_000, 'b');
/** Uploads at a time: one alone may be lucky. */
const uploads = 6;

/** `-----BEGIN CERTIFICATE-----` and so on, as `url_enc` leaves it. */
const certificate = 'c'.repeat(3_500);

/** One proxy for all: the query of a request says which rules apply to it. */
const rules = {
  frontend: `
    http-request set-header x-client-cert ${certificate} if { query -m sub cert }
    http-request set-header x-client-chain ${certificate} if { query -m sub two-certs }
    http-request add-header x-part ${'1'.repeat(900)} if { query -m sub parts }
    http-request add-header x-part ${'2'.repeat(900)} if { query -m sub parts }
    http-request add-header x-part ${'3'.repeat(900)} if { query -m sub parts }
    http-request replace-header x-token (.*) ${'t'.repeat(2_000)}\\1 if { query -m sub replaced }
    http-request set-query ${'q'.repeat(2_000)} if { query -m sub target }
    http-response set-header x-policy ${certificate} if { var(txn.query) -m sub policy }
    http-after-response set-header x-late ${certificate} if { var(txn.query) -m sub late }
    http-request set-var(txn.query) query
    option forwardfor`,
  originBackend: `
    http-request set-header x-of-backend ${certificate} if { query -m sub backend }
    http-response set-header x-of-backend ${certificate} if { var(txn.query) -m sub backend }
    http-send-name-header x-server
    cookie server insert`,
  originServer: `cookie ${'k'.repeat(1_200)}`,
};

describeEachHaproxy('headers that rules add', (binary) => {
  let proxy: StubbedProxy;
  beforeAll(async () => {
    proxy = await startStubbedProxy(binary, { ...rules, env: { DD_SPOA_PROCESSING_TIMEOUT: '5s' } });
  });
  beforeEach(() => {
    proxy.origin.requests.length = 0;
    proxy.agent.script = () => ({ span_id: '7', request_body: true, response_body: true });
  });
  afterAll(() => proxy.stop());

  const statuses = (send: () => Promise<number>): Promise<number[]> =>
    Promise.all(Array.from({ length: uploads }, send));
  const allServed = Array<number>(uploads).fill(200);

  const withLength = async (target: string): Promise<number> =>
    (await fetchOnce(proxy.httpPort, { method: 'POST', target, body: upload })).status;
  const ways: Readonly<Record<string, (target: string) => Promise<number>>> = {
    'with a length': withLength,
    'in chunks': async (target) => {
      const connection = new Http1Connection(proxy.httpPort);
      connection.write(`POST ${target} HTTP/1.1\r\nhost: site.example\r\nx-token: 1\r\n`);
      connection.write(`transfer-encoding: chunked\r\n\r\n${upload.length.toString(16)}\r\n`);
      connection.write(Buffer.concat([upload, Buffer.from('\r\n0\r\n\r\n')]));
      const { status } = await connection.response();
      connection.close();
      return status;
    },
    'over HTTP/2': async (target) => {
      const connection = new Http2Connection(proxy.http2Port);
      const { status } = await connection.request({ method: 'POST', target, body: upload });
      connection.close();
      return status;
    },
  };

  describe.each(Object.entries(ways))('to an upload %s', (_way, send) => {
    it.each([
      ['a client certificate', 'cert'],
      ['two client certificates', 'cert,two-certs'],
      ['several headers that exceed 1 kB together', 'parts'],
      ['a longer value in the place of another', 'replaced'],
      ['a longer target', 'target'],
      ['a header of the backend', 'backend'],
      ['a header of the response', 'policy'],
      ['a header after the response rules', 'late'],
      ['nothing but what options add', 'none'],
    ])('do not end it: %s', async (_what, query) => {
      expect(await statuses(() => send(`/echo?${query}`))).toEqual(allServed);
    });
  });

  it('do not end an upload whose body nobody looks at: the wait for the agent is enough to fill a buffer', async () => {
    proxy.agent.script = () => ({ span_id: '7' });
    expect(await statuses(() => withLength('/echo?cert,two-certs,policy'))).toEqual(allServed);
  });

  it('end an upload when they are more than tune.maxrewrite: what `check` counts', async () => {
    expect(await withLength('/echo?cert,two-certs,backend')).toBe(500);
  });

  it('reach the origin whole', async () => {
    await fetchOnce(proxy.httpPort, { method: 'POST', target: '/echo?cert,backend', body: upload });
    const [request] = proxy.origin.requests;
    expect(request?.headers['x-client-cert']).toHaveLength(certificate.length);
    expect(request?.headers['x-of-backend']).toHaveLength(certificate.length);
    expect(request?.headers).toMatchObject({ 'x-server': 'origin', 'x-forwarded-for': '127.0.0.1' });
  });

  it('do not end a response that is waited for, and reach the client with its cookie', async () => {
    const response = await fetchOnce(proxy.httpPort, { target: '/json?size=14900&policy' });
    expect(response.status).toBe(200);
    expect(header(response, 'x-policy')).toHaveLength(certificate.length);
    expect(header(response, 'set-cookie')?.length).toBeGreaterThan(1_200);
    expect(proxy.agent.named('http-response-body-msg').at(-1)?.args.get('body')).toHaveLength(14_929);
  });

  it('leave room for what the agent gives the origin: its trace, and baggage of 3 kB', async () => {
    proxy.agent.script = () => ({
      ...{ span_id: '7', request_body: true, tracing_baggage: 'b'.repeat(3_000) },
      ...{ tracing_x_datadog_tags: 't'.repeat(512), tracing_tracestate: 's'.repeat(512) },
    });
    expect(await statuses(() => withLength('/echo?cert'))).toEqual(allServed);
    expect(proxy.origin.requests[0]?.headers['baggage']).toHaveLength(3_000);
  });
});
