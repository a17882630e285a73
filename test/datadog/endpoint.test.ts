import { describe, expect, it } from 'vitest';
import { cleanPath, endpointOf } from '../../src/datadog/endpoint.ts';
import { growthOf, inProportion } from '../support/growth.ts';

describe('the endpoint of a path', () => {
  it.each<readonly [path: string, endpoint: string]>([
    ['', '/'],
    ['/', '/'],
    ['//', '/'],
    ['/a/b', '/a/b'],
    ['/a//b/', '/a/b'],
    // Two or more digits, the first not 0.
    ['/users/10', '/users/{param:int}'],
    ['/users/1', '/users/1'],
    ['/users/01', '/users/01'],
    ['/users/012', '/users/{param:int_id}'],
    // Digits and . _ - of three and more, at least one digit.
    ['/2026-01-02', '/{param:int_id}'],
    ['/1.2', '/{param:int_id}'],
    ['/1-', '/1-'],
    ['/...', '/...'],
    ['/-_-', '/-_-'],
    // Six and more hexadecimal digits, at least one decimal.
    ['/abc123', '/{param:hex}'],
    ['/ABC123', '/{param:hex}'],
    ['/abcdef', '/abcdef'],
    ['/abc12', '/abc12'],
    // The same with . _ -
    ['/abc-123', '/{param:hex_id}'],
    ['/550e8400-e29b-41d4-a716-446655440000', '/{param:hex_id}'],
    ['/a.b-c_', '/a.b-c_'],
    // Long, or with a character that names of resources do not have.
    ['/abcdefghijklmnopqrst', '/{param:str}'],
    ['/abcdefghijklmnopqrs', '/abcdefghijklmnopqrs'],
    ...['a%20', 'a&', "a'", 'a(', 'a)', 'a*', 'a+', 'a,', 'a:', 'a=', 'a@'].map(
      (segment) => [`/x/${segment}`, '/x/{param:str}'] as const,
    ),
    ['/a.html', '/a.html'],
    ['/a~b', '/a~b'],
    ['/1/2/3/4/5/6/7/88/99', '/1/2/3/4/5/6/7/{param:int}'],
  ])('of %j is %j', (path, endpoint) => {
    expect(endpointOf(path)).toBe(endpoint);
  });

  it.each([
    ['1.', '!'],
    ['/1', ''],
  ])(
    'takes work in proportion to its length for a path of many times %j that ends in %j',
    async (unit, end) => {
      const work = (size: number): unknown => endpointOf(`/${unit.repeat(size)}${end}`);
      expect(await growthOf(work, 5_000)).toBeLessThan(inProportion);
    },
  );
});

describe('the path of a resource', () => {
  it.each([
    ['', '/'],
    ['/', '/'],
    ['/a/./b/../c', '/a/c'],
    ['/../../etc', '/etc'],
    ['//a///b', '/a/b'],
    ['/a/', '/a'],
    ['/a%2F..', '/a%2F..'],
    ['*', '*'],
    ['site.example:443', 'site.example:443'],
  ])('of %j is %j', (path, clean) => {
    expect(cleanPath(path)).toBe(clean);
  });
});
