// Two applications behind one HAProxy and one daemon, told apart by Host: `shop` blocks, `blog` only reports, and
// everything else is as the daemon was started.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { fetchOnce, type HttpResponse, header } from './support/http-client.ts';
import type { ConfFile } from './support/shipped-config.ts';
import { describeEachHaproxy } from './support/stubbed-proxy.ts';
import { ruleIdsOf, shareTracedProxy } from './support/traced-proxy.ts';

const applications = `
    http-request set-var(txn.dd_service) str(shop)   if { req.hdr(host),field(1,:) -i shop.example }
    http-request set-var(txn.dd_env)     str(prod)   if { req.hdr(host),field(1,:) -i shop.example }
    http-request set-var(txn.dd_version) str(2026.1) if { req.hdr(host),field(1,:) -i shop.example }
    http-request set-var(txn.dd_service) str(blog)   if { req.hdr(host),field(1,:) -i blog.example }
    http-request set-var(txn.dd_mode)    str(report) if { req.hdr(host),field(1,:) -i blog.example }
`;

/** As an operator does: above the first message, where the commented examples stand. */
function withApplications(file: ConfFile, text: string): string {
  if (file !== 'frontend-config.cfg') return text;
  const mark = '    # http-request set-var(txn.dd_service)';
  const at = text.indexOf(mark);
  if (at === -1) throw new Error('frontend-config.cfg has no example of an application');
  return text.slice(0, at) + applications.trimStart() + text.slice(at);
}

describeEachHaproxy('two applications behind one agent', (binary) => {
  const pages = mkdtempSync(join(tmpdir(), 'appsec-edge-pages-'));
  writeFileSync(join(pages, 'shop.json'), '{"shop":"[security_response_id]"}');
  const proxy = shareTracedProxy(binary, {
    edit: withApplications,
    daemonEnv: { APPSEC_EDGE_BLOCK_PAGES_FOLDER: pages },
  });
  afterAll(() => rmSync(pages, { recursive: true, force: true }));

  const ask = (host: string, target: string): Promise<HttpResponse> =>
    fetchOnce(proxy().httpPort, { target, headers: { host } });

  it('one blocks, with a page of its own', async () => {
    const response = await ask('SHOP.example:8080', '/shop?q=attack-block');
    expect(response.status).toBe(403);
    expect(header(response, 'content-type')).toBe('application/json');
    expect(response.body).toMatch(/^\{"shop":"[0-9a-f-]{36}"\}$/);
    const span = await proxy().span('GET /shop');
    expect(span.service).toBe('shop');
    expect(span.meta).toMatchObject({ env: 'prod', version: '2026.1', 'appsec.blocked': 'true' });
  });

  it('the other only reports the same attack, on requests and on responses', async () => {
    expect((await ask('blog.example', '/blog?q=attack-block')).status).toBe(200);
    expect(proxy().reached('/blog')).toBe(true);
    const span = await proxy().span('GET /blog');
    expect(span.service).toBe('blog');
    expect(span.meta).toMatchObject({ env: 'e2e', version: '7', 'appsec.event': 'true' });
    expect(span.meta).toMatchObject({ 'http.status_code': '200' });
    expect(span.meta).not.toHaveProperty(['appsec.blocked']);
    expect(ruleIdsOf(span)).toEqual(['req-block']);
    expect(await ask('blog.example', '/say?leak=leak-block')).toMatchObject({ status: 200 });
  });

  it('what belongs to neither is as the daemon was started', async () => {
    const response = await ask('other.example', '/other?q=attack-block');
    expect(response.status).toBe(403);
    expect(response.body).toContain('Request blocked');
    const span = await proxy().span('GET /other');
    expect(span.service).toBe('edge');
    expect(span.meta).toMatchObject({ env: 'e2e', version: '7', 'appsec.blocked': 'true' });
  });

  it('the log and the metrics tell them apart', async () => {
    await ask('blog.example', '/logged?q=attack-block');
    expect(await proxy().daemon.securityEvent('/logged')).toMatchObject({
      ...{ service: 'blog', would_block: true, verdict: 'report' },
    });
    const { daemon } = proxy();
    await expect.poll(() => daemon.metric('would_block_total', { service: 'blog' })).toBeGreaterThan(0);
    expect(await daemon.metric('verdicts_total', { service: 'blog', verdict: 'block' })).toBe(0);
  });
});
