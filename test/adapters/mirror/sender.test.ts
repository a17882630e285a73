// What the fields of a copy mean, by who made it. Copies are those of the real programs: see test/e2e/mirror-spoofs.test.ts.
import { describe, expect, it } from 'vitest';
import {
  type CopiedHead,
  originalOf,
  type Sender,
  senderOf,
  withoutShadow,
} from '../../../src/adapters/mirror/sender.ts';
import { type HeaderList, headerValue } from '../../../src/engine/http.ts';

const copied = (headers: HeaderList, changes: Partial<CopiedHead> = {}): CopiedHead => ({
  wire: 'http1',
  rawHostName: 'Host',
  headers,
  ...changes,
});

const envoyMark: HeaderList = [
  ['host', 'a.test-shadow'],
  ['x-envoy-internal', 'true'],
];

describe('the sender of a copy', () => {
  it.each<[string, CopiedHead, Sender]>([
    ['Envoy, by its mark and its lower case', copied(envoyMark, { rawHostName: 'host' }), 'envoy'],
    ['unknown, when a client has sent the mark through another proxy', copied(envoyMark), 'unknown'],
    ['Envoy over HTTP/2', copied(envoyMark, { wire: 'http2', rawHostName: 'host' }), 'envoy'],
    [
      'unknown, over HTTP/2 of NGINX',
      copied(envoyMark, { wire: 'http2-without-authority', rawHostName: 'host' }),
      'unknown',
    ],
    [
      'unknown, over HTTP/2 of Traefik',
      copied([...envoyMark, ['x-forwarded-server', 'edge']], { wire: 'http2', rawHostName: 'host' }),
      'unknown',
    ],
    ['unknown, without a mark', copied([['host', 'a.test']], { rawHostName: 'host' }), 'unknown'],
  ])('is %s', (_name, copy, sender) => {
    expect(senderOf('auto', copy)).toBe(sender);
  });

  it('is who the setting says, whatever the copy looks like', () => {
    expect(senderOf('nginx', copied(envoyMark, { rawHostName: 'host' }))).toBe('nginx');
    expect(senderOf('none', copied(envoyMark, { rawHostName: 'host' }))).toBe('none');
  });
});

describe('a host that Envoy has marked', () => {
  it.each([
    ['a.test-shadow', 'a.test'],
    ['a.test-shadow:8443', 'a.test:8443'],
    ['[::1]-shadow:80', '[::1]:80'],
    ['-shadow', ''],
    ['a-shadow-shadow', 'a-shadow'],
    ['a-shadow.test', 'a-shadow.test'],
    ['a.test', 'a.test'],
    ['a.test-shadow:', 'a.test:'],
  ])('%j was %j', (host, original) => {
    expect(withoutShadow(host)).toBe(original);
  });

  it('keeps its mark when nobody says that Envoy made it', () => {
    const { headers } = originalOf('unknown', copied([['host', 'a-shadow']]), false);
    expect(headerValue(headers, 'host')).toBe('a-shadow');
  });
});

describe('X-Forwarded-For of Envoy', () => {
  it.each([
    ['203.0.113.9,192.0.2.2', '203.0.113.9'],
    ['198.51.100.1, 203.0.113.9,192.0.2.2', '198.51.100.1, 203.0.113.9'],
    ['192.0.2.2', undefined],
  ])('%j was %j before its mirror', (value, original) => {
    const { headers } = originalOf('envoy', copied([['x-forwarded-for', value]]), false);
    expect(headerValue(headers, 'x-forwarded-for')).toBe(original);
  });

  it('vouches for the external address only with one of its own', () => {
    const clientOf = (forwarded: string): string | undefined =>
      originalOf(
        'envoy',
        copied([
          ['x-envoy-external-address', '203.0.113.9'],
          ['x-forwarded-for', forwarded],
        ]),
        false,
      ).clientIp;
    expect(clientOf('198.51.100.1,203.0.113.9,192.0.2.2')).toBe('203.0.113.9');
    expect(clientOf('198.51.100.1,192.0.2.2')).toBeUndefined();
    expect(clientOf('203.0.113.9')).toBeUndefined();
  });
});

describe('the scheme', () => {
  it.each<[Sender, HeaderList, boolean, boolean]>([
    ['unknown', [['x-forwarded-proto', 'https']], false, true],
    ['unknown', [['x-forwarded-proto', 'HTTPS, http']], false, true],
    ['unknown', [['x-forwarded-proto', 'http']], true, false],
    ['unknown', [['x-scheme', 'https']], false, true],
    ['unknown', [], true, true],
    ['unknown', [['x-forwarded-proto', 'nonsense']], false, false],
    ['traefik', [['x-forwarded-proto', 'wss']], false, true],
    ['traefik', [['x-forwarded-proto', 'ws']], true, false],
    ['envoy', [['x-forwarded-proto', 'https']], false, true],
    [
      'nginx',
      [
        ['x-forwarded-proto', 'http'],
        ['x-scheme', 'https'],
      ],
      false,
      false,
    ],
    [
      'nginx',
      [
        ['x-server-port', '80'],
        ['host', 'a.test'],
        ['x-forwarded-proto', 'https'],
        ['x-scheme', 'http'],
      ],
      false,
      false,
    ],
    ['none', [['x-forwarded-proto', 'https']], false, false],
    ['none', [], true, true],
  ])('of %s with %j over TLS %s is https: %s', (sender, headers, tls, https) => {
    expect(originalOf(sender, copied(headers), tls).https).toBe(https);
  });
});

describe('the client', () => {
  it.each<[Sender, HeaderList, string | undefined]>([
    [
      'nginx',
      [
        ['x-real-ip', '203.0.113.9'],
        ['x-forwarded-for', '198.51.100.1, 203.0.113.9'],
      ],
      '203.0.113.9',
    ],
    [
      'nginx',
      [
        ['x-forwarded-for', '198.51.100.1, 203.0.113.9'],
        ['x-real-ip', '198.51.100.1'],
      ],
      undefined,
    ],
    ['nginx', [['x-real-ip', '198.51.100.1']], undefined],
    [
      'nginx',
      [
        ['x-server-port', '80'],
        ['host', 'a.test'],
        ['x-forwarded-for', '203.0.113.9'],
        ['x-real-ip', '198.51.100.1'],
      ],
      '203.0.113.9',
    ],
    ['traefik', [['x-real-ip', '203.0.113.9']], '203.0.113.9'],
    ['traefik', [['x-real-ip', 'nonsense']], undefined],
    ['unknown', [['x-real-ip', '203.0.113.9']], undefined],
    ['none', [['x-real-ip', '203.0.113.9']], undefined],
  ])('of %s with %j is %s', (sender, headers, clientIp) => {
    expect(originalOf(sender, copied(headers), false).clientIp).toBe(clientIp);
  });
});
