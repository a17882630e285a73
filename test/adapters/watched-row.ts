import type { Deferred, Inspected } from '../../src/engine/analysis.ts';
import type { Inspector } from '../../src/engine/inspector.ts';
import type { TransactionView } from '../../src/engine/transaction-view.ts';
import type { JobHandler } from '../../src/workers/jobs.ts';
import type { Exchange } from './door-driver.ts';
import type { Row } from './open-doors.ts';

/** Requests over which an engine behind `watchedRow` makes a mistake. */
export const mistakes: Readonly<Record<string, Partial<Exchange>>> = {
  'over the head of a request': { headers: { 'x-note': 'mistake-of-the-engine' } },
  'over its body': {
    method: 'POST',
    headers: { 'content-type': 'text/plain' },
    body: 'mistake-of-the-engine',
  },
  'over its body, later': {
    ...{ method: 'POST', headers: { 'content-type': 'text/plain' }, body: 'late-mistake-of-the-engine' },
  },
  'of the handler': { headers: { 'x-note': 'mistake-of-the-handler' } },
};

/** Transactions that an engine has answered with. */
export type Begun = Set<TransactionView>;

/** The row of a door whose engine is watched, and makes mistakes when it is asked to, as its handler does. */
export function watchedRow(row: Row, begun: Begun): Row {
  return {
    ...row,
    async loadHandler() {
      const { createHandler } = await row.loadHandler();
      return {
        createHandler: (config, services) =>
          faultyHandler(
            createHandler(config, { ...services, inspector: watchedInspector(services.inspector, begun) }),
          ),
      };
    },
  };
}

function watchedInspector(inspector: Inspector, begun: Begun): Inspector {
  return new Proxy(inspector, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      return (...values: unknown[]): unknown => {
        const asked = values.map(textOf).join();
        if (asked.includes('late-mistake')) return Promise.reject(new Error('a mistake of the engine'));
        if (asked.includes('mistake-of-the-engine')) throw new Error('a mistake of the engine');
        const answer = Reflect.apply(value, target, values) as unknown;
        if (isAnswer(answer)) begun.add(answer.transaction);
        return answer;
      };
    },
  });
}

function isAnswer(answer: unknown): answer is Inspected | Deferred {
  return typeof answer === 'object' && answer !== null && 'transaction' in answer;
}

function textOf(value: unknown): string {
  if (typeof value === 'object' && value !== null && 'bytes' in value && value.bytes instanceof Uint8Array)
    return Buffer.from(value.bytes).toString('latin1');
  return JSON.stringify(value) ?? '';
}

function faultyHandler(handler: JobHandler): JobHandler {
  return {
    handle(job, answer) {
      if (job.payload.includes('mistake-of-the-handler')) throw new Error('a mistake of the handler');
      return handler.handle(job, answer);
    },
    skipped: (payload) => handler.skipped(payload),
    get liveTransactions() {
      return handler.liveTransactions;
    },
    workOnBacklog: () => handler.workOnBacklog(),
  };
}
