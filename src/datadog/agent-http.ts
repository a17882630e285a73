import { type IncomingMessage, type RequestOptions, request } from 'node:http';
import { request as requestTls } from 'node:https';

export interface AgentAddress {
  readonly agentHost: string;
  readonly agentPort: number;
  /** http, https, or unix:///path; wins over host and port. */
  readonly agentUrl: string | undefined;
}

export interface AgentRequest {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly json?: unknown;
  readonly timeoutMs: number;
}

export interface AgentResponse {
  readonly status: number;
  readonly body: string;
}

/** An answer larger than this is nonsense, not configuration. */
const maxBodyBytes = 64 * 1024 * 1024;

/** The Agent's address as one URL, for messages and for connecting. */
export function agentUrlOf(address: AgentAddress): string {
  if (address.agentUrl !== undefined) return address.agentUrl;
  const host = address.agentHost.includes(':') ? `[${address.agentHost}]` : address.agentHost;
  return `http://${host}:${address.agentPort}`;
}

/** One request to the Datadog Agent. Rejects when there is no whole answer in time. */
export function askAgent(url: string, ask: AgentRequest): Promise<AgentResponse> {
  const signal = AbortSignal.timeout(ask.timeoutMs);
  const body = ask.json === undefined ? undefined : JSON.stringify(ask.json);
  const options: RequestOptions = {
    method: ask.method,
    headers:
      body === undefined
        ? {}
        : { 'content-type': 'application/json; charset=utf-8', 'content-length': Buffer.byteLength(body) },
    signal,
  };
  return new Promise((resolve, reject) => {
    const fail = (cause: Error): void =>
      // A request that a signal ends fails with its own AbortError.
      reject(signal.aborted ? new Error(`no answer within ${ask.timeoutMs} ms`) : cause);
    const call = url.startsWith('unix:')
      ? request({ ...options, socketPath: url.replace(/^unix:(\/\/)?/, ''), path: ask.path })
      : (url.startsWith('https:') ? requestTls : request)(new URL(ask.path, url), options);
    call.on('error', fail);
    call.on('response', (response) => readBody(response).then(resolve, fail));
    call.end(body);
  });
}

async function readBody(response: IncomingMessage): Promise<AgentResponse> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBodyBytes) throw new Error(`answer exceeds ${maxBodyBytes} bytes`);
    chunks.push(chunk);
  }
  return { status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') };
}
