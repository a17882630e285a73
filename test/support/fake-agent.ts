/** A Datadog Agent as far as its clients can tell: takes traces, keeps their spans, and serves Remote Config. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { decodeMsgpack } from './msgpack.ts';
import { RemoteConfigServer } from './remote-config-server.ts';

export interface ReceivedSpan {
  readonly name: string;
  readonly resource: string;
  readonly service: string;
  readonly type: string;
  readonly error: number;
  readonly trace_id: number | bigint;
  readonly span_id: number | bigint;
  readonly parent_id: number | bigint;
  readonly meta: Readonly<Record<string, string>>;
  readonly metrics: Readonly<Record<string, number>>;
}

/** Agents of today take structured tags; dd-trace for Node.js does not ask. */
const info = JSON.stringify({
  ...{ version: '7.60.0', endpoints: ['/v0.4/traces', '/v0.7/config'], span_meta_structs: true },
});

export class FakeAgent {
  readonly spans: ReceivedSpan[] = [];
  /** Of every request, whatever it was for. */
  readonly bodies: Buffer[] = [];
  readonly remoteConfig = new RemoteConfigServer();
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        this.bodies.push(Buffer.concat(chunks));
        if (request.url === '/v0.7/config') {
          this.remoteConfig.receive(Buffer.concat(chunks).toString(), ({ status, body }) =>
            response.writeHead(status).end(body),
          );
          return;
        }
        if (request.url === '/info') {
          response.writeHead(200, { 'content-type': 'application/json' }).end(info);
          return;
        }
        if (/^\/v0\.\d\/traces$/.test(request.url ?? '')) this.#receive(Buffer.concat(chunks));
        response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
      });
    });
  }

  /**
   * @param where a port of its own unless told: an Agent that is started again has the one it had. Or the path of a
   * unix socket.
   */
  static async start(where: number | string = 0): Promise<FakeAgent> {
    const agent = new FakeAgent();
    await new Promise<void>((resolve, reject) => {
      agent.#server.once('error', reject);
      if (typeof where === 'string') agent.#server.listen(where, resolve);
      else agent.#server.listen(where, '127.0.0.1', resolve);
    });
    return agent;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Finds the one span of a resource; throws when there is none or more. */
  spanOf(resource: string): ReceivedSpan {
    const found = this.spans.filter((span) => span.resource === resource);
    const [span] = found;
    if (span === undefined || found.length > 1) {
      const names = this.spans.map((other) => other.resource).join(', ');
      throw new Error(`${found.length} spans of ${resource} among: ${names}`);
    }
    return span;
  }

  stop(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  #receive(body: Buffer): void {
    for (const trace of decodeMsgpack(body) as ReceivedSpan[][]) this.spans.push(...trace);
  }
}
