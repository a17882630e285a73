import type { Ability, Exchange } from './door-driver.ts';
import { listening } from './memory/door.ts';
import { memoryRow, mirrorRow, type OpenDoors, openDoors } from './open-doors.ts';
import { type Answer, type ScriptedDoor, ScriptedProxy, type Wire } from './scripted-proxy.ts';
import { type Begun, watchedRow } from './watched-row.ts';

const can: Ability = { can: true };

/** The in-memory door, alone in its process. */
export async function startMemoryDriver(): Promise<ScriptedProxy> {
  const begun: Begun = new Set();
  const process = await openDoors([watchedRow(memoryRow, begun)]);
  const door = memoryDoor(process, { door: 'memory', blocks: can, seesResponses: can });
  return new ScriptedProxy(door, process, begun);
}

/** The same as a mirror is: it gets copies of requests, when the origin has the requests already. */
export async function startMirrorDriver(): Promise<ScriptedProxy> {
  const begun: Begun = new Set();
  const process = await openDoors([watchedRow(mirrorRow, begun)]);
  const blocks = { cannot: 'a copy of a request cannot be blocked' };
  const seesResponses = { cannot: 'a mirror gets no responses' };
  return new ScriptedProxy(memoryDoor(process, { door: 'mirror', blocks, seesResponses }), process, begun);
}

export function memoryDoor(
  process: OpenDoors,
  about: Pick<ScriptedDoor, 'door' | 'blocks' | 'seesResponses'>,
): ScriptedDoor {
  const connect = (): Wire | undefined => {
    const connection = listening.get(process.instance)?.();
    return connection && new MemoryWire(connection);
  };
  return {
    ...about,
    connect,
    tellsAborts: can,
    namesApplications: can,
    vouchesForClients: can,
    sheds:
      'can' in about.blocks ? can : { cannot: 'copies are answered before the analysis, which has time' },
    hostileBytes: {
      async can(bytes) {
        const connection = listening.get(process.instance)?.();
        await connection?.(bytes);
        await connection?.(Buffer.from('end aborted'));
      },
    },
    collectsBodies: false,
    async stop() {
      await process.drain();
    },
  };
}

/** A client of the in-memory door: see test/adapters/memory/handler.ts for its messages. */
export class MemoryWire implements Wire {
  readonly #send: (message: Buffer) => Promise<Buffer>;

  constructor(send: (message: Buffer) => Promise<Buffer>) {
    this.#send = send;
  }

  head({ method, body, target, headers = {}, client, reportOnly }: Exchange): Promise<Answer> {
    const flags = [
      ...(client === undefined ? [] : ['vouched']),
      ...(reportOnly === true ? ['reports'] : []),
      ...(body === undefined ? ['bodiless'] : []),
    ];
    const words = [
      method ?? (body === undefined ? 'GET' : 'POST'),
      target,
      client ?? '203.0.113.7',
      ...flags,
    ];
    return this.#ask(`request ${words.join(' ')}`, headers);
  }

  requestBody(bytes: Buffer, more: boolean): Promise<Answer> {
    return this.#ask(`request-body ${more ? 'more' : 'last'}`, {}, bytes);
  }

  response({
    status = 200,
    headers = {},
  }: {
    readonly status?: number;
    readonly headers?: object;
  }): Promise<Answer> {
    return this.#ask(`response ${status}`, headers);
  }

  responseBody(bytes: Buffer): Promise<Answer> {
    return this.#ask('response-body last', {}, bytes);
  }

  async end(aborted: boolean): Promise<void> {
    await this.#send(Buffer.from(`end ${aborted ? 'aborted' : 'no-response'}`));
  }

  async #ask(line: string, headers: object, body: Buffer = Buffer.alloc(0)): Promise<Answer> {
    const fields = Object.entries(headers).map(([name, value]) => `\n${name}: ${value}`);
    const answer = await this.#send(
      Buffer.concat([Buffer.from(`${line}${fields.join('')}\n\n`, 'latin1'), body]),
    );
    const [head = '', ...page] = answer.toString().split('\n\n');
    const [verdict, , wish, status] = head.split('\n', 1).join().split(' ');
    const wantsBody = wish === 'more';
    if (verdict !== 'block') return { wantsBody };
    return { wantsBody, block: { status: Number(status), body: page.join('\n\n') } };
  }
}
