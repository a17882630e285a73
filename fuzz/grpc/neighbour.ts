/** An honest client beside the hostile ones: every call of it must be answered, and its connection must stay. */
import { GrpcClient } from '../../test/support/grpc-client.ts';
import { Finding } from '../session.ts';
import type { GrpcTarget } from './target.ts';

/** Calls at a time, as of a proxy with a little to do. */
const callsAtOnce = 4;
const pauseMs = 10;

export class Neighbour {
  readonly #target: GrpcTarget;
  #isStopped = false;
  answered = 0;
  slowestMs = 0;

  constructor(target: GrpcTarget) {
    this.#target = target;
  }

  stop(): void {
    this.#isStopped = true;
  }

  /** Until it is stopped. @throws Finding */
  async run(): Promise<void> {
    const client = await GrpcClient.connect(this.#target.address);
    try {
      for (let seed = 0; !this.#isStopped; seed += callsAtOnce) {
        const lanes = Array.from({ length: callsAtOnce }, (_, lane) => this.#converse(client, seed + lane));
        await Promise.all(lanes);
        await new Promise((resolve) => setTimeout(resolve, pauseMs));
      }
      if (client.goaways.length > 0) throw new Finding(`an honest client got GOAWAY ${client.goaways}`);
    } finally {
      await client.close();
    }
  }

  async #converse(client: GrpcClient, seed: number): Promise<void> {
    const conversation = this.#target.conversation(seed);
    const call = client.call(this.#target.path);
    for (const [index, { message, isAnswer }] of conversation.entries()) {
      const startedMs = performance.now();
      call.send(message);
      const answers = await call.received(index + 1).catch((cause: Error) => {
        throw new Finding(`an honest call: ${cause.message}`);
      });
      this.slowestMs = Math.max(this.slowestMs, performance.now() - startedMs);
      const answer = answers[index];
      if (answer === undefined || !isAnswer(answer)) {
        throw new Finding(
          `message ${index} of an honest call ${seed} got ${answer?.toString('hex').slice(0, 200)}`,
        );
      }
      this.answered += 1;
    }
    // Half of them end as Envoy does.
    if (seed % 2 === 0) call.stream.close(8);
    else call.end();
    const { status } = await call.done;
    if (seed % 2 === 1 && status !== this.#target.statusAtEnd) {
      throw new Finding(`an honest call ended with status ${status}`);
    }
  }
}
