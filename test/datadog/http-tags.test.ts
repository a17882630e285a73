import { describe, expect, it } from 'vitest';
import { requestTags, responseTags } from '../../src/datadog/http-tags.ts';
import type { HeaderList } from '../../src/engine/http.ts';
import { QueryObfuscator } from '../../src/engine/query-obfuscator.ts';
import { spanSettings } from '../support/span-settings.ts';
import { requestHead } from '../support/test-engine.ts';

const settings = spanSettings(new QueryObfuscator('password=[^&]+'));

describe('the tags of a request', () => {
  it('are these, and no other', () => {
    const headers: HeaderList = [
      ['host', 'shop.test:8443'],
      ['user-agent', 'curl/8'],
      ['x-own', 'private'],
      ['cookie', 'private'],
      ['authorization', 'private'],
    ];
    expect(requestTags(requestHead('/a/../users/10?b=1', headers, { https: true }), settings)).toEqual({
      'resource.name': 'GET /users/10',
      'http.method': 'GET',
      'http.url': 'https://shop.test:8443/a/../users/10?b=1',
      'http.useragent': 'curl/8',
      'http.endpoint': '/a/../users/{param:int}',
      'http.host': 'shop.test:8443',
      'network.client.ip': '203.0.113.7',
      'http.request.headers.host': 'shop.test:8443',
      'http.request.headers.user-agent': 'curl/8',
    });
  });

  it('of a request without Host and User-Agent have an empty agent and no host', () => {
    const tags = requestTags(requestHead('/', []), settings);
    expect(tags).toMatchObject({ 'http.useragent': '', 'http.url': 'http:///' });
    expect(tags).not.toHaveProperty(['http.host']);
  });

  it.each([undefined, '', 'unix', '300.1.1.1'])('leave the peer out when it is %j', (peerAddress) => {
    const tags = requestTags(requestHead('/', [], { peerAddress }), settings);
    expect(tags).not.toHaveProperty(['network.client.ip']);
  });

  it.each([
    ['/a?password=x&b=1', {}, 'http://shop.test/a?<redacted>&b=1'],
    ['/a?password=x', { queryDisabled: true }, 'http://shop.test/a'],
    ['/a?', {}, 'http://shop.test/a?'],
    [
      '/a?b=1&password=x&c=2&b=3',
      { queryAllowlist: ['b', 'password'] },
      'http://shop.test/a?b=1&password=x&b=3',
    ],
    ['/a?b=1', { queryAllowlist: [] }, 'http://shop.test/a'],
    ['*', {}, '*'],
    ['http://other.test/a', {}, 'http://other.test/a'],
    ['shop.test:443', {}, 'shop.test:443'],
  ])('show the URL of %j with %j as %j', (target, changes, url) => {
    const tags = requestTags(requestHead(target), { ...settings, ...changes });
    expect(tags['http.url']).toBe(url);
  });

  it.each([
    ...['accept', 'accept-encoding', 'accept-language', 'akamai-user-risk', 'cf-ray'],
    ...['cloudfront-viewer-ja3-fingerprint', 'content-encoding', 'content-language', 'content-length'],
    ...['content-type', 'host', 'user-agent', 'via', 'x-amzn-trace-id', 'x-appgw-trace-id'],
    ...['x-cloud-trace-context', 'x-forwarded', 'x-sigsci-requestid', 'x-sigsci-tags'],
    ...['x-forwarded-for', 'x-real-ip', 'true-client-ip', 'x-client-ip', 'forwarded', 'forwarded-for'],
    ...['x-cluster-client-ip', 'fastly-client-ip', 'cf-connecting-ip', 'cf-connecting-ipv6'],
  ])('have the header %s, request and response alike', (name) => {
    const headers: HeaderList = [
      [name, '1'],
      [name, '2'],
    ];
    expect(requestTags(requestHead('/', headers), settings)[`http.request.headers.${name}`]).toBe('1,2');
    expect(responseTags(200, headers, settings)).toEqual({
      'http.status_code': '200',
      [`http.response.headers.${name}`]: '1,2',
    });
  });

  it('have the configured header of the client IP, and what a scanner of Datadog says of itself', () => {
    const headers: HeaderList = [
      ['x-edge-ip', '192.0.2.1'],
      ['x-datadog-endpoint-scan', 'a'],
      ['x-datadog-security-test', 'b'],
    ];
    const tags = requestTags(requestHead('/', headers), { ...settings, clientIpHeader: 'x-edge-ip' });
    expect(tags).toMatchObject({
      'http.request.headers.x-edge-ip': '192.0.2.1',
      'http.request.headers.x-datadog-endpoint-scan': 'a',
      'http.request.headers.x-datadog-security-test': 'b',
    });
    expect(requestTags(requestHead('/', headers), settings)).not.toHaveProperty([
      'http.request.headers.x-edge-ip',
    ]);
  });
});

describe('the tags of a response', () => {
  it.each([
    [500, '500: Internal Server Error'],
    [503, '503: Service Unavailable'],
    [599, '599: unknown'],
  ])('of status %i make the span an error', (status, message) => {
    expect(responseTags(status, [], settings)).toEqual({
      'http.status_code': String(status),
      error: 1,
      'error.type': String(status),
      'error.message': message,
    });
  });

  it('follow the configured error statuses', () => {
    const own = { ...settings, isErrorStatus: (status: number) => status === 404 };
    expect(responseTags(404, [], own)).toHaveProperty('error', 1);
    expect(responseTags(500, [], own)).not.toHaveProperty('error');
  });

  it('are none when no response came', () => {
    expect(responseTags(undefined, [], settings)).toEqual({});
  });
});
