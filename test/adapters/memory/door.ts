import { setImmediate, setTimeout } from 'node:timers/promises';
import type { Door, DoorServices } from '../../../src/daemon/door.ts';
import { sharedNowMs } from '../../../src/workers/channel.ts';
import { observeMemory } from './observers.ts';
import type { MemoryConfig } from './settings.ts';

/** How to connect, by the process's instance. A connection carries one transaction, up to the message `end`. */
export const listening = new Map<string, () => (message: Buffer) => Promise<Buffer>>();

export function createDoor({ memoryTimeoutMs }: MemoryConfig, services: DoorServices): Door {
  const { engines, instance, metrics } = services;
  const observer = observeMemory(metrics);
  let open = 0;

  function connect(): (message: Buffer) => Promise<Buffer> {
    let [id, engine, last] = ['', engines.engineFor(undefined), Promise.resolve<Buffer>(Buffer.alloc(0))];
    observer.connected();
    open += 1;
    return (message) => {
      const [name] = /^((request|response)(-body)?|end)(?=[ \n])/.exec(`${message.subarray(0, 16)}`) ?? [];
      if (name === undefined) return Promise.resolve(Buffer.from('refused')).finally(observer.refused);
      // Told however late: what is not ended takes memory until it expires.
      const deadlineMs = name === 'end' ? Number.POSITIVE_INFINITY : sharedNowMs() + memoryTimeoutMs / 2;
      const ask = (resolve: (answer: Buffer) => void): void => {
        const payload = Buffer.concat([Buffer.from(`${id}\n`), message]);
        const work = { kind: 0, size: payload.length, guessUs: 100 };
        // Where the transaction lives, as long as that engine does.
        engine = engines.engineFor(engine);
        engines.dispatch(engine, { payload, maxAnswerBytes: 65_536, deadlineMs, work }, (result) => {
          if (result.kind === 'shed') observer.skipped(result.reason);
          if (result.kind === 'shed' && engine !== undefined) engines.skipped(engine, payload);
          const answer = Buffer.from(result.kind === 'done' ? result.bytes : result.kind);
          id = answer.toString('latin1').split(' ', 2)[1] ?? id;
          resolve(answer);
        });
      };
      last = last.then(() => setImmediate()).then(() => new Promise(ask));
      if (name === 'end') last.finally(() => (open -= 1));
      return last;
    };
  }

  return {
    async listen() {
      listening.set(instance, connect);
      return { address: `memory:${instance}`, tls: false };
    },
    /** Nobody new is let in; what is open is served to its end. */
    async drain(_graceMs, deadlineMs) {
      listening.delete(instance);
      for (let leftMs = deadlineMs; open > 0 && leftMs > 0; leftMs -= 10) await setTimeout(10);
    },
  };
}
