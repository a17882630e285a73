import { connect, type Socket } from 'node:net';
import { doors } from '../../src/doors.ts';
import type { Ability, Exchange } from './door-driver.ts';
import { type OpenDoors, openDoors, type Row } from './open-doors.ts';
import { type Answer, type ScriptedDoor, ScriptedProxy, type Wire } from './scripted-proxy.ts';
import { type Begun, watchedRow } from './watched-row.ts';

const can: Ability = { can: true };

export const receiverRow: Row = doors.mirror;

/** The door for mirrored requests, alone in its process, and a proxy that sends copies to its port. */
export async function startReceiverDriver(): Promise<ScriptedProxy> {
  const begun: Begun = new Set();
  const process = await openDoors([watchedRow(receiverRow, begun)], {
    ...{ DD_REQUEST_MIRROR_LISTEN_ADDR: '127.0.0.1:0', DD_REQUEST_MIRROR_HEALTHCHECK_ADDR: '127.0.0.1:0' },
    // It says who the client is, in X-Real-Ip.
    DD_REQUEST_MIRROR_SENDER: 'traefik',
  });
  return new MirroringProxy(receiverDoor(process), process, begun);
}

class MirroringProxy extends ScriptedProxy {
  override readonly headComesFirst: Ability = { cannot: 'a copy goes to an engine when it is whole' };
  override readonly peerAddress = '127.0.0.1';
}

function receiverDoor(process: OpenDoors): ScriptedDoor {
  const port = Number(process.addresses[0]?.split(':').at(-1));
  return {
    door: 'mirror',
    connect: () => new CopyWire(port),
    blocks: { cannot: 'a copy of a request cannot be blocked' },
    seesResponses: { cannot: 'a mirror gets no responses' },
    tellsAborts: { cannot: 'a copy that breaks off is analysed as far as it came' },
    namesApplications: { cannot: 'every application only reports' },
    vouchesForClients: can,
    sheds: { cannot: 'copies are answered before the analysis, which has time' },
    hostileBytes: {
      async can(bytes) {
        const stranger = connect(port, '127.0.0.1');
        stranger.on('error', () => undefined).resume();
        stranger.end(bytes);
        await new Promise((resolve) => stranger.once('close', resolve));
      },
    },
    collectsBodies: false,
    async stop() {
      await process.drain();
    },
  };
}

/** One copy, on a connection of its own. */
class CopyWire implements Wire {
  readonly #socket: Socket;
  readonly #answered: Promise<void>;

  constructor(port: number) {
    this.#socket = connect(port, '127.0.0.1');
    this.#answered = new Promise((resolve) => {
      // Nobody is there any more: the copy is lost, and the request is not.
      this.#socket.once('data', () => resolve()).once('close', () => resolve());
      this.#socket.on('error', () => undefined);
    });
  }

  async head({ method, body, target, headers = {}, client }: Exchange): Promise<Answer> {
    const fields = Object.entries({ ...headers, ...(client === undefined ? {} : { 'X-Real-Ip': client }) });
    const line = `${method ?? (body === undefined ? 'GET' : 'POST')} ${target} HTTP/1.1\r\n`;
    const lines = fields.map(([name, value]) => `${name}: ${value}\r\n`).join('');
    this.#socket.write(`${line}${lines}\r\n`, 'latin1');
    if (body === undefined) await this.#answered;
    return { wantsBody: body !== undefined };
  }

  async requestBody(bytes: Buffer, more: boolean): Promise<Answer> {
    this.#socket.write(bytes);
    if (!more) await this.#answered;
    return { wantsBody: more };
  }

  response(): Promise<Answer> {
    throw new Error('a mirror gets no responses');
  }

  responseBody(): Promise<Answer> {
    throw new Error('a mirror gets no responses');
  }

  async end(): Promise<void> {
    this.#socket.destroy();
  }
}
