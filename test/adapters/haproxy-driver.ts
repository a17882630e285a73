import { messageNames, variableNames } from '../../src/adapters/haproxy/contract.ts';
import { encodeHdrsBin } from '../../src/adapters/haproxy/hdrs-bin.ts';
import { doors } from '../../src/doors.ts';
import type { SpoeMessageInput } from '../../src/spop/index.ts';
import { type Arguments, binary, int64, message, string, variablesOf } from '../support/spoe-messages.ts';
import { SpopClient } from '../support/spop-client.ts';
import type { Ability, Exchange, Headers, OriginResponse } from './door-driver.ts';
import { type OpenDoors, openDoors, type Row } from './open-doors.ts';
import { type Answer, type ScriptedDoor, ScriptedProxy, type Wire } from './scripted-proxy.ts';
import { type Begun, watchedRow } from './watched-row.ts';

const can: Ability = { can: true };

export const haproxyRow: Row = doors.haproxy;

/** HAProxy's door, alone in its process, and a scripted HAProxy in front of it. */
export async function startHaproxyDriver(): Promise<ScriptedProxy> {
  const begun: Begun = new Set();
  const process = await openDoors([watchedRow(haproxyRow, begun)]);
  return new ScriptedProxy(await haproxyDoor(process, 0), process, begun);
}

/** @param number of the door among those of the process. */
export async function haproxyDoor(process: OpenDoors, number: number): Promise<ScriptedDoor> {
  const port = Number(process.addresses[number]?.split(':').at(-1));
  const client = await SpopClient.connect({ port });
  await client.hello();
  let isOpen = true;
  void client.closed.then(() => {
    isOpen = false;
  });
  return {
    door: 'haproxy',
    connect: () => (isOpen ? new HaproxyWire(client) : undefined),
    blocks: can,
    seesResponses: can,
    tellsAborts: { cannot: 'SPOE has no word for a client that went away: its transaction expires' },
    namesApplications: can,
    vouchesForClients: { cannot: 'HAProxy says who is connected to it, and no more' },
    sheds: { cannot: 'what waits in the socket of a process without engine threads is not seen to wait' },
    hostileBytes: {
      async can(bytes) {
        const stranger = await SpopClient.connect({ port });
        stranger.write(bytes);
        stranger.end();
        await stranger.closed;
      },
    },
    collectsBodies: true,
    async stop() {
      client.reset();
      await process.drain();
    },
  };
}

/** One transaction as haproxyconf/ has HAProxy tell it. */
class HaproxyWire implements Wire {
  readonly #client: SpopClient;
  #identity: string | undefined;

  constructor(client: SpopClient) {
    this.#client = client;
  }

  head({ method, body, target, headers = {}, reportOnly }: Exchange): Promise<Answer> {
    return this.#ask(messageNames.requestHeaders, 'request_body', {
      ...{ ip: { type: 'ipv4', value: '203.0.113.7' }, ip_port: int64(40_000) },
      ...{ method: string(method ?? (body === undefined ? 'GET' : 'POST')), path: string(target) },
      ...{ headers: fields(headers), https: { type: 'boolean', value: false }, timeout: string('2s') },
      ...(reportOnly === true ? { mode: string('report') } : {}),
    });
  }

  requestBody(bytes: Buffer): Promise<Answer> {
    return this.#ask(messageNames.requestBody, undefined, { body: binary(bytes) });
  }

  response({ status = 200, headers = {} }: OriginResponse): Promise<Answer> {
    const args = { headers: fields(headers), status: int64(status) };
    return this.#ask(messageNames.responseHeaders, 'response_body', args);
  }

  responseBody(bytes: Buffer): Promise<Answer> {
    return this.#ask(messageNames.responseBody, undefined, { body: binary(bytes) });
  }

  /** HAProxy says nothing of it. */
  async end(): Promise<void> {}

  async #ask(
    name: string,
    wish: 'request_body' | 'response_body' | undefined,
    args: Arguments,
  ): Promise<Answer> {
    const identity = this.#identity === undefined ? {} : { span_id: string(this.#identity) };
    const sent: SpoeMessageInput = message(name, { ...args, ...identity });
    // A connection that ended meanwhile: HAProxy lets pass what it has no answer for.
    const ack = await this.#client.notify([sent]).catch(() => undefined);
    if (ack === undefined) return { wantsBody: false };
    const variables = variablesOf(ack.actions);
    const { spanId, blocked, status, body } = variableNames;
    if (variables[spanId] !== undefined) this.#identity = String(variables[spanId]);
    const wantsBody = wish !== undefined && variables[wish] === true;
    if (variables[blocked] !== true) return { wantsBody };
    return { wantsBody, block: { status: Number(variables[status]), body: String(variables[body]) } };
  }
}

function fields(headers: Headers): Arguments[string] {
  return binary(encodeHdrsBin(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value])));
}
