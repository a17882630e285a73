import { once } from 'node:events';
import { connect as connectSocket } from 'node:net';
import { methodPath } from '../../src/adapters/ext-proc/contract.ts';
import { doors } from '../../src/doors.ts';
import { decodeResponse, encodeRequest, headerMap } from '../support/ext-proc-oracle.ts';
import { type ClientCall, GrpcClient } from '../support/grpc-client.ts';
import type { Ability, Exchange, Headers, OriginResponse } from './door-driver.ts';
import { type OpenDoors, openDoors, type Row } from './open-doors.ts';
import { type Answer, type ScriptedDoor, ScriptedProxy, type Wire } from './scripted-proxy.ts';
import { type Begun, watchedRow } from './watched-row.ts';

const can: Ability = { can: true };

export const extProcRow: Row = doors['ext-proc'];

export const extProcEnvironment = {
  ...{ DD_SERVICE_EXTENSION_HOST: '127.0.0.1', DD_SERVICE_EXTENSION_PORT: '0' },
  ...{ DD_SERVICE_EXTENSION_TLS: 'false', APPSEC_EDGE_EXT_PROC_MESSAGE_TIMEOUT: '3s' },
};

/** How Envoy sends bodies of requests: collected, as we ask for by `mode_override`, or in pieces, as it is configured. */
export type BodyDelivery = 'collected' | 'in pieces';

/** Envoy's door, alone in its process, and a scripted Envoy in front of it. */
export async function startExtProcDriver(delivery: BodyDelivery): Promise<ScriptedProxy> {
  const begun: Begun = new Set();
  const process = await openDoors([watchedRow(extProcRow, begun)], extProcEnvironment);
  return new ScriptedProxy(await extProcDoor(process, 0, delivery), process, begun);
}

/** @param number of the door among those of the process. */
export async function extProcDoor(
  process: OpenDoors,
  number: number,
  delivery: BodyDelivery,
): Promise<ScriptedDoor> {
  const port = Number(process.addresses[number]?.split(':').at(-1));
  const client = await GrpcClient.connect({ port });
  const isOpen = (): boolean => client.goaways.length === 0 && !client.session.closed;
  return {
    door: 'ext-proc',
    connect: () => (isOpen() ? new ExtProcWire(client, delivery) : undefined),
    blocks: can,
    seesResponses: can,
    tellsAborts:
      delivery === 'in pieces' ? can : { cannot: 'Envoy shows nothing of a body before it has collected it' },
    namesApplications: can,
    vouchesForClients: can,
    sheds: { cannot: 'what waits in the socket of a process without engine threads is not seen to wait' },
    hostileBytes: {
      async can(bytes) {
        const stranger = connectSocket(port, '127.0.0.1');
        stranger.on('error', () => undefined).resume();
        stranger.end(bytes);
        await once(stranger, 'close').catch(() => undefined);
      },
    },
    collectsBodies: delivery === 'collected',
    async stop() {
      client.session.destroy();
      await process.drain();
    },
  };
}

/** One stream of Envoy. */
class ExtProcWire implements Wire {
  readonly #client: GrpcClient;
  readonly #delivery: BodyDelivery;
  #call: ClientCall | undefined;
  #answers = 0;

  constructor(client: GrpcClient, delivery: BodyDelivery) {
    this.#client = client;
    this.#delivery = delivery;
  }

  async head({ method, body, target, headers = {}, reportOnly, client }: Exchange): Promise<Answer> {
    const fields = {
      ...{ ':authority': headers['host'] ?? 'site.example', ':path': target },
      ...{ ':method': method ?? (body === undefined ? 'GET' : 'POST'), ':scheme': 'http' },
    };
    // Google's load balancers vouch for clients; plain Envoy names the peer.
    const attributes =
      client === undefined ? { 'source.address': '203.0.113.7:40000' } : { 'source.ip': client };
    this.#open({
      ...(client === undefined ? { 'x-datadog-envoy-integration': '1' } : {}),
      ...(reportOnly === true ? { 'x-appsec-report-only': 'true' } : {}),
    });
    const streamed = this.#delivery === 'in pieces';
    const answer = await this.#ask('request_body_mode', {
      request_headers: { headers: mapOf({ ...fields, ...headers }), end_of_stream: body === undefined },
      attributes: { 'envoy.filters.http.ext_proc': structOf(attributes) },
      protocol_config: streamed ? { request_body_mode: 'STREAMED' } : {},
    });
    return streamed && body !== undefined ? { ...answer, wantsBody: true } : answer;
  }

  async requestBody(bytes: Buffer, more: boolean): Promise<Answer> {
    const answer = await this.#ask(undefined, { request_body: { body: bytes, end_of_stream: !more } });
    return { ...answer, wantsBody: more };
  }

  response({ status = 200, headers = {}, body = '' }: OriginResponse): Promise<Answer> {
    const fields = { ':status': String(status), ...headers };
    const message = { headers: mapOf(fields), end_of_stream: body === '' };
    return this.#ask('response_body_mode', { response_headers: message });
  }

  responseBody(bytes: Buffer): Promise<Answer> {
    return this.#ask(undefined, { response_body: { body: bytes, end_of_stream: true } });
  }

  /** Envoy resets every stream, whatever came of it. */
  async end(aborted: boolean): Promise<void> {
    const call = this.#call;
    if (call === undefined) return;
    // `close` would half-close it first, as Envoy 1.36 does.
    if (aborted) call.stream.destroy();
    else call.stream.close();
    await call.done;
  }

  #open(metadata: Headers = {}): ClientCall {
    this.#call ??= this.#client.call(methodPath, metadata);
    return this.#call;
  }

  /** @param wish the field of `mode_override` that asks for a body */
  async #ask(wish: string | undefined, message: object): Promise<Answer> {
    const call = this.#open();
    if (call.stream.closed || call.stream.readableEnded) return { wantsBody: false };
    call.send(encodeRequest(message));
    // A stream that ends without an answer: Envoy goes on without it.
    const messages = await call.received(this.#answers + 1).catch(() => undefined);
    const bytes = messages?.[this.#answers];
    if (bytes === undefined) return { wantsBody: false };
    this.#answers += 1;
    const answer = decodeResponse(bytes) as ProcessingResponse;
    const { immediate_response: block, mode_override: modes } = answer;
    const wantsBody = wish !== undefined && modes?.[wish] !== undefined;
    if (block === undefined) return { wantsBody };
    return { wantsBody, block: { status: block.status.code, body: String(block.body ?? '') } };
  }
}

interface ProcessingResponse {
  readonly immediate_response?: { readonly status: { readonly code: number }; readonly body?: Buffer };
  readonly mode_override?: Readonly<Record<string, unknown>>;
}

function mapOf(fields: Headers): object {
  return headerMap(Object.entries(fields).map(([name, value]) => [name.toLowerCase(), value]));
}

function structOf(texts: Headers): object {
  const fields = Object.entries(texts).map(([name, text]) => [name, { string_value: text }]);
  return { fields: Object.fromEntries(fields) };
}
