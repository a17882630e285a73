import { describe, expect, it } from 'vitest';
import {
  ContainedAnswerer,
  type Notify,
  type NotifyAnswer,
  type NotifyAnswerer,
} from '../../../src/adapters/haproxy/notify.ts';
import { type Action, SpopError } from '../../../src/spop/index.ts';

const notify: Notify = {
  payload: Buffer.alloc(0),
  maxActionsBytes: 1000,
  receivedAtMs: 0,
  relayed: false,
  mayBeLate: true,
};
const actionsNamed = (name: string): Action[] => [{ kind: 'unset-var', scope: 'txn', name }];
const [early, late, ofFailure] = [actionsNamed('early'), actionsNamed('late'), actionsNamed('failed')];

/** What came out of one NOTIFY, in order. */
function ask(answer: NotifyAnswerer['answer']): { answers: NotifyAnswer[]; failures: unknown[] } {
  const answers: NotifyAnswer[] = [];
  const failures: unknown[] = [];
  const contained = new ContainedAnswerer(
    { answer },
    () => ofFailure,
    (cause) => failures.push(cause),
  );
  contained.answer(notify, (each) => answers.push(each));
  return { answers, failures };
}

describe('an answerer', () => {
  const mistake = new Error('a mistake of ours');

  it('that answers twice has answered once', () => {
    const outcome = ask((_notify, done) => {
      done(early);
      done(late);
    });
    expect(outcome).toEqual({ answers: [early], failures: [] });
  });

  it('that throws is answered for', () => {
    const outcome = ask(() => {
      throw mistake;
    });
    expect(outcome).toEqual({ answers: [ofFailure], failures: [mistake] });
  });

  it('that throws SpopError has answered with it', () => {
    const error = new SpopError('SPOP_BAD_ITEM', 'no list of messages');
    const outcome = ask(() => {
      throw error;
    });
    expect(outcome).toEqual({ answers: [error], failures: [] });
  });

  it('that throws after its answer has answered, and is reported', () => {
    const outcome = ask((_notify, done) => {
      done(early);
      throw mistake;
    });
    expect(outcome).toEqual({ answers: [early], failures: [mistake] });
  });

  it('that throws has answered: what it says later does not count', () => {
    let answerLater: (answer: NotifyAnswer) => void = () => undefined;
    const outcome = ask((_notify, done) => {
      answerLater = done;
      throw mistake;
    });
    answerLater(late);
    expect(outcome).toEqual({ answers: [ofFailure], failures: [mistake] });
  });
});
