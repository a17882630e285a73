import { describe, expect, it } from 'vitest';
import { MessageArguments } from '../../../src/adapters/haproxy/message-arguments.ts';
import { decodeMessages, encodeMessages, type TypedDataInput } from '../../../src/spop/index.ts';
import { type Arguments, binary, int64, message, nothing, string } from '../../support/spoe-messages.ts';

function argumentsOf(args: Arguments): MessageArguments {
  const [decoded] = decodeMessages(encodeMessages([message('any', args)]));
  if (decoded === undefined) throw new Error('no message');
  return new MessageArguments(decoded);
}

describe('the time to live of a transaction', () => {
  it.each<[string, TypedDataInput, number | undefined]>([
    ['1d', string('1d'), 86_400_000],
    ['30s', string('30s'), 30_000],
    ['milliseconds as text', string('500'), 500],
    ['milliseconds as a number', int64(500), 500],
    ['nonsense', string('a while'), undefined],
    ['0', string('0'), undefined],
    ['a negative number', int64(-5), undefined],
    ['nothing', nothing, undefined],
  ])('given as %s', (_what, value, expected) => {
    expect(argumentsOf({ timeout: value }).timeToLiveMs()).toBe(expected);
  });
});

describe('the identity of a transaction', () => {
  it.each([
    ['1', '1'],
    ['18446744073709551615', '18446744073709551615'],
    ['18446744073709551616', undefined],
    ['0', undefined],
    ['007', undefined],
    ['12a', undefined],
    ['', undefined],
  ])('%j is read as %j', (text, expected) => {
    expect(argumentsOf({ span_id: string(text) }).identity()?.spanId).toBe(expected);
  });
});

describe('a request', () => {
  it('without any argument is one of which nothing is known', () => {
    expect(argumentsOf({}).requestHead()).toEqual({
      method: '',
      target: '',
      headers: [],
      peerAddress: undefined,
      peerPort: undefined,
      https: false,
      declaredBodySize: undefined,
      bodyIsStream: false,
    });
  });

  it('takes addresses typed or as text, and the size of the body when it is known', () => {
    const typed = argumentsOf({ ip: { type: 'ipv6', value: '2001:db8::1' }, body_size: int64(12) });
    expect(typed.requestHead()).toMatchObject({ peerAddress: '2001:db8::1', declaredBodySize: 12 });
    const asText = argumentsOf({ ip: string('192.0.2.1'), body_size: int64(0) });
    expect(asText.requestHead()).toMatchObject({ peerAddress: '192.0.2.1', declaredBodySize: undefined });
  });
});

describe('a response', () => {
  it('takes its status as a number or as digits', () => {
    expect(argumentsOf({ status: int64(404) }).responseHead().status).toBe(404);
    expect(argumentsOf({ status: string('404') }).responseHead().status).toBe(404);
    expect(argumentsOf({ status: binary('nonsense') }).responseHead().status).toBe(0);
  });
});

describe('the application', () => {
  it.each<[string, Arguments, object | undefined]>([
    ['nothing', {}, undefined],
    ['null', { service: nothing, env: nothing, version: nothing, mode: nothing }, undefined],
    ['empty texts', { service: string(''), mode: string('') }, undefined],
    [
      'all four',
      { service: string('shop'), env: string('prod'), version: string('9'), mode: string('report') },
      { service: 'shop', environment: 'prod', version: '9', reportOnly: true },
    ],
    [
      'another mode',
      { mode: string('block') },
      { service: undefined, environment: undefined, version: undefined, reportOnly: false },
    ],
  ])('given as %s, is read from every message alike', (_what, args, expected) => {
    const read = argumentsOf(args);
    expect(read.requestHead().application).toEqual(expected);
    expect(read.responseHead().application).toEqual(expected);
    expect(read.bodyChunk().application).toEqual(expected);
  });
});
