// What a blocked client sees: pages by Accept, statuses and types of the operator's actions, redirects, the
// operator's templates, and the built-in page where those do not fit into HAProxy's frame.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { fetchOnce, Http1Connection, Http2Connection, header } from './support/http-client.ts';
import { shareProtectedProxy } from './support/protected-proxy.ts';
import { describeEachHaproxy } from './support/stubbed-proxy.ts';

const folder = mkdtempSync(join(tmpdir(), 'appsec-edge-templates-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function template(name: string, text: string): string {
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
}

describeEachHaproxy('a blocked client', (binary) => {
  const proxy = shareProtectedProxy(binary);

  it.each([
    ['text/html,application/xhtml+xml', 'text/html; charset=utf-8', '<!doctype html>'],
    ['application/json, text/html', 'application/json', '{"errors":'],
    ['*/*', 'application/json', '{"errors":'],
  ])('that accepts %s gets %s', async (accept, type, beginning) => {
    const response = await fetchOnce(proxy().httpPort, {
      ...{ target: '/?q=attack-block', headers: { accept } },
    });
    expect(response.status).toBe(403);
    expect(header(response, 'content-type')).toBe(type);
    expect(header(response, 'cache-control')).toBe('no-store');
    expect(response.body.startsWith(beginning)).toBe(true);
    expect(header(response, 'content-length')).toBe(String(response.body.length));
  });

  it("gets the status and the type of the operator's action, whatever it accepts", async () => {
    const json = await fetchOnce(proxy().httpPort, {
      ...{ target: '/?q=attack-teapot', headers: { accept: 'text/html' } },
    });
    expect(json.status).toBe(418);
    expect(header(json, 'content-type')).toBe('application/json');
    const html = await fetchOnce(proxy().httpPort, {
      ...{ target: '/?q=attack-legal', headers: { accept: 'application/json' } },
    });
    expect(html.status).toBe(451);
    expect(header(html, 'content-type')).toBe('text/html; charset=utf-8');
  });

  it.each([
    ['request', '/?q=attack-redirect', false],
    ['response', '/say?header=leak-redirect', true],
  ])('is redirected because of its %s', async (phase, path, reached) => {
    const mark = `redirected-${phase}`;
    const response = await fetchOnce(proxy().httpPort, { target: `${path}&mark=${mark}` });
    const event = await proxy().daemon.securityEvent(mark);
    expect(event.verdict).toBe('redirect');
    expect(response).toMatchObject({ status: 307, body: '' });
    const location = `https://elsewhere.example:8443/why?id=${event.security_response_id}`;
    expect(header(response, 'location')).toBe(location);
    expect(proxy().reached(mark)).toBe(reached);
  });

  it.each(['request', 'response'])('gets no body for HEAD when its %s is blocked', async (phase) => {
    const target = phase === 'request' ? '/?q=attack-block' : '/say?header=leak-block';
    const connection = new Http1Connection(proxy().httpPort);
    expect(await connection.request({ method: 'HEAD', target })).toMatchObject({ status: 403, body: '' });
    connection.close();
  });

  it('sees over HTTP/2 what it sees over HTTP/1.1', async () => {
    const connection = new Http2Connection(proxy().http2Port);
    const request = await connection.request({ target: '/?q=attack-block' });
    const response = await connection.request({ target: '/say?leak=leak-block' });
    connection.close();
    for (const { status, body } of [request, response]) {
      expect(status).toBe(403);
      expect(JSON.parse(body)).toHaveProperty('security_response_id');
    }
  });
});

describeEachHaproxy("the operator's templates", (binary) => {
  describe('that fit', () => {
    const html = template('page.html', '<h1>Custom 100% &amp; [security_response_id]</h1>\n');
    const json = template('page.json', '{"custom":true,"id":"[security_response_id]"}');
    const env = { DD_APPSEC_HTTP_BLOCKED_TEMPLATE_HTML: html, DD_APPSEC_HTTP_BLOCKED_TEMPLATE_JSON: json };
    const proxy = shareProtectedProxy(binary, { daemon: { env } });

    it('are sent, with the id of the log in them', async () => {
      const page = await fetchOnce(proxy().httpPort, {
        ...{ target: '/?q=attack-block&mark=html', headers: { accept: 'text/html' } },
      });
      const { security_response_id: htmlId } = await proxy().daemon.securityEvent('mark=html');
      expect(page).toMatchObject({ status: 403, body: `<h1>Custom 100% &amp; ${htmlId}</h1>\n` });

      const data = await fetchOnce(proxy().httpPort, { target: '/say?leak=leak-block&mark=json' });
      const { security_response_id: jsonId } = await proxy().daemon.securityEvent('mark=json');
      expect(data).toMatchObject({ status: 403, body: `{"custom":true,"id":"${jsonId}"}` });
    });
  });

  describe("as large as HAProxy's buffer allows, or larger", () => {
    const page = `<p>${'h'.repeat(16_000)}</p>`;
    const policy = 'p'.repeat(6_000);
    const env = {
      DD_APPSEC_HTTP_BLOCKED_TEMPLATE_HTML: template('large.html', page),
      DD_APPSEC_HTTP_BLOCKED_TEMPLATE_JSON: template('large.json', `{"large":"${'l'.repeat(20_000)}"}`),
    };
    const frontend = `    http-after-response set-header x-policy ${policy}`;
    const proxy = shareProtectedProxy(binary, { daemon: { env }, frontend, ownDaemon: true });

    it('leave room for the headers that rules add to every response', async () => {
      const response = await fetchOnce(proxy().httpPort, {
        ...{ target: '/?q=attack-block', headers: { accept: 'text/html' } },
      });
      expect(response).toMatchObject({ status: 403, body: page });
      expect(header(response, 'x-policy')).toBe(policy);
    });

    it('give way to the built-in page, the connection serves on, and the log says so once', async () => {
      for (let request = 0; request < 5; request++) {
        const blocked = await fetchOnce(proxy().httpPort, { target: '/?q=attack-block' });
        expect(blocked.status).toBe(403);
        expect(JSON.parse(blocked.body)).toHaveProperty('security_response_id');
        const clean = await fetchOnce(proxy().httpPort);
        expect(clean.status).toBe(200);
      }
      const { log } = proxy().daemon;
      const complaint = await log.waitFor(/the block page does not fit/);
      expect(JSON.parse(complaint)).toMatchObject({ level: 'warn', maxActionsBytes: expect.any(Number) });
      expect(log.lines.filter((line) => line.includes('the block page does not fit'))).toHaveLength(1);
      expect(await proxy().daemon.metric('errors_total', { kind: 'block-page-too-large' })).toBe(5);
      expect(proxy().haproxy.log.lines.filter((line) => line.includes('SPOE'))).toEqual([]);
    });
  });
});
