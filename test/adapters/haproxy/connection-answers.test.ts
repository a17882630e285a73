import { describe, expect, it } from 'vitest';
import { ConnectionAnswers } from '../../../src/adapters/haproxy/connection-answers.ts';
import type { Notify, NotifyAnswer, NotifyAnswerer } from '../../../src/adapters/haproxy/notify.ts';
import {
  type Action,
  AgentConnection,
  encodeHaproxyHello,
  encodeNotify,
  SpopError,
} from '../../../src/spop/index.ts';
import { decodeAgentFrames, TYPICAL_HELLO } from '../../support/spop-client.ts';

const actionsNamed = (name: string): Action[] => [{ kind: 'unset-var', scope: 'txn', name }];
const [early, late, ofFailure] = [actionsNamed('early'), actionsNamed('late'), actionsNamed('failed')];
const tooLarge: Action[] = [
  { kind: 'set-var', scope: 'txn', name: 'n', value: { type: 'string', value: 'x'.repeat(20_000) } },
];
const mistake = new Error('a mistake of ours');

/** One NOTIFY on a connection, given to an answerer. */
function ask(answer: NotifyAnswerer['answer'], capabilities: readonly string[] = ['pipelining']) {
  const agent = new AgentConnection();
  agent.receive(encodeHaproxyHello({ ...TYPICAL_HELLO, capabilities }));
  agent.takeOutput();
  const told: unknown[] = [];
  const asked: Notify[] = [];
  const observer = {
    frameFailed: (cause: unknown) => told.push(cause),
    protocolError: (error: SpopError) => told.push(error),
  };
  const answers = new ConnectionAnswers(
    agent,
    {
      answerer: {
        answer(notify, done) {
          asked.push(notify);
          answer(notify, done);
        },
      },
      failedAnswer: () => ofFailure,
      observer,
    },
    { acknowledged: () => told.push('acknowledged'), answeredLater: () => told.push('later') },
  );
  const [event] = agent.receive(encodeNotify(1, 1, []));
  if (event?.kind !== 'notify') throw new Error('expected a NOTIFY');
  answers.ask(event, 1234);
  const sent = () => decodeAgentFrames(agent.takeOutput() ?? Buffer.alloc(0));
  return { agent, answers, asked, told, sent };
}

const ack = (actions: readonly Action[]) => ({ kind: 'ack', actions });

describe('an answerer', () => {
  it('is told the room and the time of a NOTIFY', () => {
    const { asked } = ask((_notify, done) => done(early));
    expect(asked).toMatchObject([{ receivedAtMs: 1234, maxActionsBytes: 16_380 - 5 - 1 - 1 }]);
  });

  it('that answers twice has answered once', () => {
    const { sent, told } = ask((_notify, done) => {
      done(early);
      done(late);
    });
    expect(sent()).toMatchObject([ack(early)]);
    expect(told).toEqual(['acknowledged']);
  });

  it('that throws is answered for', () => {
    const { sent, told } = ask(() => {
      throw mistake;
    });
    expect(sent()).toMatchObject([ack(ofFailure)]);
    expect(told).toEqual([mistake, 'acknowledged']);
  });

  it('that throws SpopError has answered with it, and the connection ends', () => {
    const error = new SpopError('SPOP_BAD_ITEM', 'no list of messages');
    const { sent, told, agent } = ask(() => {
      throw error;
    });
    expect(sent()).toMatchObject([{ kind: 'agent-disconnect', disconnect: { status: error.status } }]);
    expect([told, agent.closed]).toEqual([[error], true]);
  });

  it('that throws after its answer has answered, and is reported', () => {
    const { sent, told } = ask((_notify, done) => {
      done(early);
      throw mistake;
    });
    expect(sent()).toMatchObject([ack(early)]);
    expect(told).toEqual(['acknowledged', mistake]);
  });

  it('that throws has answered: what it says later does not count', () => {
    let answerLater: (answer: NotifyAnswer) => void = () => undefined;
    const { sent, told, answers } = ask((_notify, done) => {
      answerLater = done;
      throw mistake;
    });
    answerLater(late);
    expect(sent()).toMatchObject([ack(ofFailure)]);
    expect(told).toEqual([mistake, 'acknowledged']);
    expect(answers.underAnalysis).toBe(0);
  });

  it.each([
    ['nothing', []],
    ['more than a frame holds', tooLarge],
  ])('that answers %s is answered for', (_what, actions) => {
    const { sent, told } = ask((_notify, done) => done(actions));
    expect(sent()).toMatchObject([ack(ofFailure)]);
    expect(told).toEqual([expect.any(SpopError), 'acknowledged']);
  });
});

describe('a NOTIFY that is not answered at once', () => {
  function askLater() {
    let answer: (answer: NotifyAnswer) => void = () => undefined;
    const asked = ask((_notify, done) => {
      answer = done;
    });
    return { ...asked, answer: (given: NotifyAnswer) => answer(given) };
  }

  it('is under analysis until its one answer comes, and the connection is told', () => {
    const { answers, answer, sent, told } = askLater();
    expect([answers.underAnalysis, sent(), told]).toEqual([1, [], []]);
    answer(early);
    answer(late);
    expect(answers.underAnalysis).toBe(0);
    expect(sent()).toMatchObject([ack(early)]);
    expect(told).toEqual(['acknowledged', 'later']);
  });

  it('is no longer under analysis when its answer comes too late, and gets none', () => {
    const { answers, answer, sent, told, agent } = askLater();
    answer('late');
    expect([answers.underAnalysis, agent.inFlight, sent(), told]).toEqual([0, 0, [], ['later']]);
  });

  it('that HAProxy no longer waits for gets no answer', () => {
    const { answer, agent, sent, told } = askLater();
    agent.disconnect();
    sent();
    answer(early);
    expect([sent(), told]).toEqual([[], ['later']]);
  });
});
