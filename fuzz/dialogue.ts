/** Traffic as HAProxy sends it, of which every verdict is known: transactions side by side on one connection. */
import { argumentNames } from '../src/adapters/haproxy/contract.ts';
import type { SpoeMessageInput } from '../src/spop/index.ts';
import {
  requestBodyMessage,
  requestHeadersMessage,
  responseBodyMessage,
  responseHeadersMessage,
  string,
  variablesOf,
} from '../test/support/spoe-messages.ts';
import type { AckFrame, SpopClient } from '../test/support/spop-client.ts';
import { Finding } from './session.ts';
import type { Tally } from './tally.ts';

export const phases = ['request-headers', 'request-body', 'response-headers', 'response-body'] as const;
export type Phase = (typeof phases)[number];

export interface Step {
  /** Which of the transactions on this connection. */
  readonly transaction: number;
  readonly phase: Phase;
  readonly attack: boolean;
  /** Its answer is awaited before the next step. */
  readonly wait: boolean;
}

/** Longer than any run has to wait: a verdict must be given, not skipped. */
const processingTimeout = { [argumentNames.processingTimeout]: string('60s') };
const timeToLive = { [argumentNames.timeout]: string('2s') };

/** With rules of test/fixtures/rules/e2e.json that match `attack-block` and `leak-block`. */
function messageOf({ phase, attack }: Step, identity: string | undefined): SpoeMessageInput {
  switch (phase) {
    case 'request-headers':
      return requestHeadersMessage(attack ? '/?a=attack-block' : '/shop?a=1', undefined, {
        ...timeToLive,
        ...processingTimeout,
      });
    case 'request-body':
      return requestBodyMessage(identity, attack ? 'some attack-block words' : 'some words');
    case 'response-headers':
      return responseHeadersMessage(identity, 200, [['x-leak', attack ? 'leak-block' : 'fine']]);
    case 'response-body':
      return responseBodyMessage(identity, attack ? 'a leak-block here' : 'a page');
  }
}

export class Dialogue {
  readonly #client: SpopClient;
  readonly #tally: Tally;
  readonly #maySayNothing: boolean;
  readonly #identities = new Map<number, string>();
  /** Of the slowest answer. */
  slowestMs = 0;

  /** @param maxFrameSize agreed on: in small frames `verdict` gives way (docs/limits.md) */
  constructor(client: SpopClient, tally: Tally, maxFrameSize = 16_380) {
    this.#client = client;
    this.#tally = tally;
    this.#maySayNothing = maxFrameSize < 2_000;
  }

  /** The identity that the daemon gave last; it names its instance. */
  get lastIdentity(): string | undefined {
    return [...this.#identities.values()].at(-1);
  }

  /** @throws Finding */
  async take(steps: readonly Step[]): Promise<void> {
    const answers: Promise<void>[] = [];
    for (const step of steps) {
      const answer = this.#ask(step);
      // The first to fail is reported below; the others must not end the process.
      answer.catch(() => undefined);
      answers.push(answer);
      if (step.wait) await answer;
    }
    await Promise.all(answers);
  }

  async #ask(step: Step): Promise<void> {
    const sentAtMs = performance.now();
    this.#tally.frames += 1;
    const known = this.#identities.get(step.transaction);
    const message = messageOf(step, known);
    const ack = await withinTime(this.#client.notify([message]), JSON.stringify(step));
    this.slowestMs = Math.max(this.slowestMs, performance.now() - sentAtMs);
    const variables = variablesOf(ack.actions);
    const { blocked, status, verdict, span_id: identity } = variables;
    const isRight = step.attack ? blocked === true && status === 403 : blocked === undefined;
    const said = verdict ?? (this.#maySayNothing ? undefined : 'nothing');
    if (!isRight || (said !== undefined && !rightVerdicts(step, known).includes(String(said))))
      throw new Finding(`${JSON.stringify(step)} was answered ${JSON.stringify(variables)}`);
    if (typeof identity === 'string') this.#identities.set(step.transaction, identity);
    this.#tally.acks += 1;
  }
}

/** A later message may name a transaction that is over, after a block, and is inspected by itself then. */
function rightVerdicts({ phase, attack }: Step, identity: string | undefined): readonly string[] {
  if (attack) return ['block'];
  if (phase === 'request-headers') return ['pass'];
  return identity === undefined ? ['partial'] : ['pass', 'partial'];
}

const patienceMs = 20_000;

async function withinTime(ack: Promise<AckFrame>, what: string): Promise<AckFrame> {
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Finding(`no ACK in ${patienceMs} ms: ${what}`)), patienceMs);
  });
  try {
    return await Promise.race([ack, tooLate]);
  } catch (cause) {
    throw cause instanceof Finding ? cause : new Finding(`${what}: ${cause}`);
  } finally {
    clearTimeout(timer);
  }
}
