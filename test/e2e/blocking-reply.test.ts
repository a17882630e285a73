// The Lua script: whatever the agent leaves in its variables, a blocked client gets one well-formed response.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fetchOnce, Http1Connection, type HttpResponse, header } from './support/http-client.ts';
import type { StubAnswer } from './support/stub-agent.ts';
import { describeEachHaproxy, type StubbedProxy, startStubbedProxy } from './support/stubbed-proxy.ts';

const plainBlock = { status: 403, body: 'You have been blocked.\n' };
const page = { headers: 'content-type: text/plain', body: Buffer.from('page') };

describeEachHaproxy('the blocking reply', (binary) => {
  // Lua sees booleans in two ways from 3.1 on; before, only as 0 and 1.
  const conversions = Number(binary.branch) > 3 ? ['normal', 'pre-3.1-bug'] : ['the only way there is'];

  describe.each(conversions)('with booleans given to Lua: %s', (conversion) => {
    let proxy: StubbedProxy;
    beforeAll(async () => {
      const edit = (_file: string, text: string): string =>
        text.replace('bool-sample-conversion normal', `bool-sample-conversion ${conversion}`);
      proxy = await startStubbedProxy(binary, { edit });
    });
    afterAll(() => proxy.stop());

    const blocked = (answer: Exclude<StubAnswer, 'silence'>, method = 'GET'): Promise<HttpResponse> => {
      proxy.agent.script = () => ({ blocked: true, ...answer });
      return fetchOnce(proxy.httpPort, { method });
    };

    it('keeps every header value intact', async () => {
      const lines = ['Location: https://a.example:8443/b?c=d:e', 'X-One: 1', 'X-Empty:', 'X_Odd!Name: v'];
      const cookies = ['Set-Cookie: a=1; Path=/', 'Set-Cookie: b=2; Path=/'];
      const headers = `${[...lines, ...cookies].join('\n')}\n`;
      const response = await blocked({ status: 403, headers, body: Buffer.from('page') });
      expect(header(response, 'location')).toBe('https://a.example:8443/b?c=d:e');
      expect(header(response, 'x-one')).toBe('1');
      expect(header(response, 'x-empty')).toBe('');
      expect(header(response, 'x_odd!name')).toBe('v');
      const values = response.headers.filter(([name]) => name === 'set-cookie').map(([, value]) => value);
      expect(values).toEqual(['a=1; Path=/', 'b=2; Path=/']);
    });

    it.each<[string, Exclude<StubAnswer, 'silence'>]>([
      ['nothing at all', {}],
      ['no status', page],
      ['no headers', { status: 403, body: page.body }],
      ['no body', { status: 403, headers: page.headers }],
      ['a status below 200', { ...page, status: 199 }],
      ['a status of 600', { ...page, status: 600 }],
      ['a boolean for a status', { ...page, status: true }],
      ['a word for a status', { ...page, status: 'forbidden' }],
      ['a number for headers', { ...page, status: 403, headers: 7 }],
      ['a number for a body', { ...page, status: 403, body: 7 }],
    ])('is a plain 403 when the agent left %s', async (_what, answer) => {
      expect(await blocked(answer)).toMatchObject(plainBlock);
    });

    it('takes a status that came as text', async () => {
      expect(await blocked({ ...page, status: '451' })).toMatchObject({ status: 451, body: 'page' });
    });

    it('redirects without a body', async () => {
      const response = await blocked({ status: 303, headers: 'Location: https://a.example/' });
      expect(response).toMatchObject({ status: 303, body: '' });
      expect(header(response, 'location')).toBe('https://a.example/');
    });

    it('lets no header line end early, and leaves the framing to HAProxy', async () => {
      const odd = ['a: b\r\rc: d', 'bad name: x', ': nameless', 'no colon', 'x-nul: a\0b'];
      const framing = [
        'Content-Length: 1',
        'Transfer-Encoding: chunked',
        'Connection: upgrade',
        'Upgrade: x',
      ];
      const response = await blocked({ ...page, status: 403, headers: [...odd, ...framing].join('\n') });
      expect(response.body).toBe('page');
      expect(header(response, 'content-length')).toBe('4');
      expect(header(response, 'a')).toBe('b  c: d');
      expect(header(response, 'x-nul')).toBe('a b');
      const names = new Set(response.headers.map(([name]) => name));
      for (const name of ['c', 'bad name', 'transfer-encoding', 'upgrade']) expect(names).not.toContain(name);
    });

    it('has no body for HEAD and 204, and the connection stays usable', async () => {
      expect(await blocked({ ...page, status: 403 }, 'HEAD')).toMatchObject({ status: 403, body: '' });
      proxy.agent.script = () => ({ blocked: true, ...page, status: 204 });
      const connection = new Http1Connection(proxy.httpPort);
      const { status } = await connection.request();
      connection.close();
      expect(status).toBe(204);
    });

    it('is whole up to the size of a frame', async () => {
      const body = Buffer.alloc(16_000, 'z');
      const response = await blocked({ ...page, status: 403, body });
      expect(response.body).toHaveLength(body.length);
    });
  });
});
