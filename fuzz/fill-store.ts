import { argumentNames, messageNames } from '../src/adapters/haproxy/contract.ts';
import { message, string } from '../test/support/spoe-messages.ts';
import { SpopClient } from '../test/support/spop-client.ts';
import type { Target } from './target.ts';

const short = message(messageNames.requestHeaders, {
  [argumentNames.method]: string('GET'),
  [argumentNames.timeout]: string('1s'),
  [argumentNames.processingTimeout]: string('60s'),
});
/** As many as fit into a frame. */
const messagesOfNotify = 1_500;

/** Begins that many transactions of a second with each of `notifies` NOTIFYs, which come at the same time. */
export async function fillStore(target: Target, notifies: number): Promise<void> {
  const client = await SpopClient.connect({ port: target.port });
  await client.hello({ maxFrameSize: target.maxFrameSizeBytes });
  await Promise.all(
    Array.from({ length: notifies }, () => client.notify(Array(messagesOfNotify).fill(short))),
  );
  await client.disconnect();
}
