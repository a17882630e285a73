import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { transactionsOf } from '../../bench/support/http-transactions.ts';
import { firstStreamId, type PreparedFrame, prepare } from '../../bench/support/prepared-transaction.ts';
import { messageNames } from '../../src/adapters/haproxy/contract.ts';
import { decodeFrame, decodeMessages } from '../../src/spop/index.ts';

const spoeCfg = readFileSync('haproxyconf/spoe.cfg', 'utf8');

/** Names of the arguments of a message in spoe.cfg, in their order. */
function argumentsInSpoeCfg(message: string): string[] {
  const section =
    spoeCfg.split(/^(?=spoe-)/m).find((text) => text.startsWith(`spoe-message ${message}\n`)) ?? '';
  const lines = [...section.matchAll(/^ {4}args (.*)$/gm)].map(([, line = '']) => line);
  return lines.flatMap((line) => [...line.matchAll(/(?:^|[\s"])(\w+)=/g)].map(([, name = '']) => name));
}

function argumentsSent(frame: PreparedFrame | undefined): string[] {
  const bytes = frame?.encode(firstStreamId, 1, Buffer.from('1.2.3.4'));
  if (bytes === undefined) return [];
  const sent = decodeFrame(bytes.subarray(4));
  if (sent.kind !== 'notify') throw new Error(`not a NOTIFY but ${sent.kind}`);
  const [message] = decodeMessages(sent.payload);
  return message?.args.map(({ name }) => name) ?? [];
}

describe('what the load generator sends', () => {
  const whole = transactionsOf('mix').find(
    ({ body, responseBody }) => body !== undefined && responseBody !== undefined,
  );

  it.each(['requestHeaders', 'requestBody', 'responseHeaders', 'responseBody'] as const)(
    'has in %s the arguments of haproxyconf/spoe.cfg',
    (step) => {
      if (whole === undefined) throw new Error('no transaction of the mix has both bodies');
      const expected = argumentsInSpoeCfg(messageNames[step]);
      expect(expected).toContain('processing_timeout');
      expect(argumentsSent(prepare(whole)[step])).toEqual(expected);
    },
  );
});
