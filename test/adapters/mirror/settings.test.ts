import { describe, expect, it } from 'vitest';
import { goAddress, mirrorAddresses } from '../../../src/adapters/mirror/addresses.ts';
import { Applications, hostServices } from '../../../src/adapters/mirror/applications.ts';

describe('an address as Go programs take it', () => {
  it.each([
    [':8080', [{ address: { host: '::', port: 8080 }, service: undefined }]],
    ['127.0.0.1:80', [{ address: { host: '127.0.0.1', port: 80 }, service: undefined }]],
    ['[::1]:http', [{ address: { host: '::1', port: 80 }, service: undefined }]],
    ['localhost:0', [{ address: { host: 'localhost', port: 0 }, service: undefined }]],
    ['unix:/run/a.sock', [{ address: { socketPath: '/run/a.sock' }, service: undefined }]],
    ['unix:///run/a.sock', [{ address: { socketPath: '/run/a.sock' }, service: undefined }]],
    [
      ':8080=shop, unix:/run/a.sock=admin',
      [
        { address: { host: '::', port: 8080 }, service: 'shop' },
        { address: { socketPath: '/run/a.sock' }, service: 'admin' },
      ],
    ],
  ])('%j is understood', (text, addresses) => {
    expect(mirrorAddresses.parse(text)).toEqual(addresses);
  });

  it.each([
    '',
    '8080',
    ':',
    ':65536',
    ':-1',
    '::1:80',
    'http://a:80',
    ':80=',
    ':80,',
    'unix:',
    'unix:a',
    'a b:1',
  ])('%j is none', (text) => {
    expect(mirrorAddresses.parse(text)).toBeUndefined();
  });

  it('of health checks is no socket', () => {
    expect(goAddress.parse(':8081')).toEqual({ host: '::', port: 8081 });
    expect(goAddress.parse('unix:/a')).toBeUndefined();
  });
});

describe('the service of a request', () => {
  const applications = new Applications({
    field: 'x-appsec-service',
    hosts: hostServices.parse('shop.test=shop, *.shop.test=other ,*.a.shop.test=a,[::1]=local') ?? [],
    listeners: ['first', undefined],
  });

  it.each([
    ['shop.test', 'shop'],
    ['SHOP.test:8443', 'shop'],
    ['shop.test.', 'shop'],
    ['b.shop.test', 'other'],
    ['x.a.shop.test', 'a'],
    ['a.shop.test', 'other'],
    ['[::1]:80', 'local'],
    ['notshop.test', 'first'],
    ['elsewhere', 'first'],
  ])('of host %j is %j', (host, service) => {
    expect(applications.serviceOf([['host', host]], 0, true)).toBe(service);
  });

  it('is what a trusted proxy says, and only such a one', () => {
    const headers = [
      ['host', 'shop.test'],
      ['x-appsec-service', 'named'],
    ] as const;
    expect(applications.serviceOf(headers, 0, true)).toBe('named');
    expect(applications.serviceOf(headers, 0, false)).toBe('shop');
  });

  it("is the agent's own when nothing says another", () => {
    expect(applications.serviceOf([], 1, true)).toBeUndefined();
  });

  it.each(['', 'a', '=a', 'a=', '*=a', 'a:80=b', 'a b=c'])('cannot be set by %j', (text) => {
    expect(hostServices.parse(text)).toBeUndefined();
  });
});
