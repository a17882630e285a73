import { describe, expect, it } from 'vitest';
import { wantsRequestBody, wantsResponseBody } from '../../../src/engine/body/body-policy.ts';
import type { HeaderList } from '../../../src/engine/http.ts';

const limit = 1000;
const withBody = (...headers: [string, string][]): HeaderList => [['content-length', '5'], ...headers];

describe('a request body', () => {
  for (const type of [
    'application/json',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'text/plain',
    'text/xml',
    'image/svg+xml',
    'application/octet-stream',
    'application/pdf',
    'application/x-ndjson',
    'application/connect+json',
    'application/connect+proto',
    'application/zip, application/json',
    'image',
    '',
    ';',
    'x/y',
  ]) {
    it(`is wanted when its type is "${type}"`, () => {
      expect(wantsRequestBody(withBody(['content-type', type]), 5, limit, 'POST')).toBe(true);
    });
  }

  it('is asked for, whatever method and headers say, when the door knows that it follows', () => {
    expect(wantsRequestBody([], undefined, limit, 'GET', true)).toBe(true);
    expect(wantsRequestBody([['content-length', '0']], undefined, limit, 'HEAD', true)).toBe(true);
    expect(wantsRequestBody(withBody(['content-type', 'image/png']), undefined, limit, 'GET', true)).toBe(
      false,
    );
  });

  it('is wanted when its type is missing, or repeated with one that is binary', () => {
    expect(wantsRequestBody(withBody(), 5, limit, 'POST')).toBe(true);
    expect(
      wantsRequestBody(
        withBody(['content-type', 'image/png'], ['content-type', 'application/json']),
        5,
        limit,
      ),
    ).toBe(true);
  });

  for (const type of [
    'image/png',
    'IMAGE/PNG; x=y',
    'video/mp4',
    'audio/ogg',
    'font/woff2',
    'application/zip',
    'application/gzip',
    'application/wasm',
    'application/epub+zip',
    'application/grpc',
    'application/grpc+proto',
  ]) {
    it(`is not wanted when its type is ${type}`, () => {
      expect(wantsRequestBody(withBody(['content-type', type]), 5, limit, 'POST')).toBe(false);
    });
  }

  it('is not wanted when the limit is 0', () => {
    expect(wantsRequestBody(withBody(), 5, 0, 'POST')).toBe(false);
  });

  it('is not wanted when its length is 0', () => {
    expect(wantsRequestBody([['content-length', '0']], 0, limit, 'POST')).toBe(false);
    expect(wantsRequestBody([['content-length', ' 00 ']], undefined, limit, 'POST')).toBe(false);
  });

  it('is wanted when its length is malformed or contradictory', () => {
    for (const length of ['x', '', '-0', '0x', '+0', '0,5']) {
      expect([length, wantsRequestBody([['content-length', length]], undefined, limit, 'GET')]).toEqual([
        length,
        true,
      ]);
    }
    expect(
      wantsRequestBody(
        [
          ['content-length', '0'],
          ['content-length', '5'],
        ],
        undefined,
        limit,
        'GET',
      ),
    ).toBe(true);
    expect(
      wantsRequestBody(
        [
          ['content-length', '0'],
          ['transfer-encoding', 'chunked'],
        ],
        0,
        limit,
        'GET',
      ),
    ).toBe(true);
    expect(wantsRequestBody([['content-length', '0']], 5, limit, 'GET')).toBe(true);
  });

  it('is wanted of every method', () => {
    for (const method of ['GET', 'DELETE', 'OPTIONS', 'PATCH', 'X', undefined]) {
      expect(wantsRequestBody(withBody(), undefined, limit, method)).toBe(true);
    }
  });

  it('without length, as in HTTP/2, is wanted of methods that are made for bodies or when it has a type', () => {
    expect(wantsRequestBody([], 0, limit, 'POST')).toBe(true);
    expect(wantsRequestBody([], 0, limit, 'DELETE')).toBe(true);
    expect(wantsRequestBody([], 0, limit, 'GET')).toBe(false);
    expect(wantsRequestBody([['content-type', 'application/json']], 0, limit, 'GET')).toBe(true);
  });
});

describe('a response body', () => {
  for (const type of [
    'application/json',
    'application/problem+json; charset=utf-8',
    'text/json',
    'Application/JSON',
  ]) {
    it(`is wanted when its type is ${type}`, () => {
      expect(wantsResponseBody([['content-type', type]], 200, limit, 'GET')).toBe(true);
    });
  }

  for (const type of [
    'text/html',
    'text/event-stream',
    'application/x-ndjson',
    'application/stream+json',
    'application/connect+json',
    'application/javascript',
  ]) {
    it(`is not wanted when its type is ${type}`, () => {
      expect(wantsResponseBody([['content-type', type]], 200, limit, 'GET')).toBe(false);
    });
  }

  it('is not wanted where there is none', () => {
    const json: HeaderList = [['content-type', 'application/json']];
    for (const status of [101, 204, 304]) expect(wantsResponseBody(json, status, limit, 'GET')).toBe(false);
    expect(wantsResponseBody(json, 200, limit, 'HEAD')).toBe(false);
    expect(wantsResponseBody([...json, ['content-length', '0']], 200, limit, 'GET')).toBe(false);
    expect(wantsResponseBody(json, 200, 0, 'GET')).toBe(false);
    expect(wantsResponseBody([], 200, limit, undefined)).toBe(false);
  });
});
