/** Any order and interleaving of right messages, each with the right verdict; the connection then ends somehow. */
import fc from 'fast-check';
import { SpopClient } from '../test/support/spop-client.ts';
import { Dialogue, phases, type Step } from './dialogue.ts';
import { Finding } from './session.ts';
import type { Tally } from './tally.ts';
import { helloTimeoutMs, type Target } from './target.ts';

export interface Conversation {
  readonly maxFrameSize: number;
  readonly steps: readonly Step[];
  readonly ending: 'goodbye' | 'fin' | 'reset';
}

export const conversation: fc.Arbitrary<Conversation> = fc.record({
  maxFrameSize: fc.constantFrom(300, 1_000, 16_380, 131_072),
  steps: fc.array(
    fc.record({
      transaction: fc.nat(5),
      phase: fc.constantFrom(...phases),
      attack: fc.integer({ min: 0, max: 4 }).map((die) => die === 0),
      wait: fc.boolean(),
    }),
    { minLength: 1, maxLength: 30 },
  ),
  ending: fc.constantFrom('goodbye', 'fin', 'reset'),
});

/** @throws Finding */
export async function converse(plan: Conversation, target: Target, tally: Tally): Promise<void> {
  const begunAtMs = performance.now();
  const client = await SpopClient.connect({ port: target.port });
  try {
    try {
      await client.hello({ maxFrameSize: plan.maxFrameSize });
    } catch (cause) {
      // Of who stood still for so long on the way to it, the HELLO came too late.
      if (performance.now() - begunAtMs >= helloTimeoutMs) return;
      throw cause;
    }
    await new Dialogue(client, tally, plan.maxFrameSize).take(plan.steps);
    if (plan.ending === 'goodbye') {
      const { status } = await client.disconnect();
      if (status !== 0) throw new Finding(`goodbye was answered with status ${status}`);
    } else if (plan.ending === 'fin') {
      client.end();
      await client.closed;
    }
  } finally {
    client.reset();
    tally.sessions += 1;
  }
}
