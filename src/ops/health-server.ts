import { createServer, type Server } from 'node:http';

export interface HealthSource {
  /** The engine is loaded, the listener is up, and the process is not draining. */
  ready(): boolean;
  /** Prometheus' text format. */
  metrics(): Promise<{ readonly contentType: string; readonly body: string }>;
}

/** By default, Node only checks for late requests every 30 s. */
const timeouts = {
  headersTimeout: 5000,
  requestTimeout: 10_000,
  keepAliveTimeout: 5000,
  connectionsCheckingInterval: 1000,
} as const;

/**
 * `GET /` answers 200 as long as the process lives, in the form that Datadog's tools read. `/ready` is for load
 * balancers, `/metrics` for Prometheus. There is no access control: docs/network.md says what it reveals.
 */
export function createHealthServer(version: string, source: HealthSource): Server {
  const alive = JSON.stringify({ status: 'ok', library: { language: 'nodejs', version } });
  return createServer(timeouts, (request, response) => {
    const path = request.url?.split('?', 1)[0];
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.writeHead(405, { allow: 'GET, HEAD' }).end();
    } else if (path === '/ready') {
      const ready = source.ready();
      response.writeHead(ready ? 200 : 503, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ status: ready ? 'ready' : 'not ready' }));
    } else if (path === '/metrics') {
      source.metrics().then(
        ({ contentType, body }) => response.writeHead(200, { 'content-type': contentType }).end(body),
        // The reason is not revealed to the client.
        () => response.writeHead(500).end(),
      );
    } else {
      response.writeHead(200, { 'content-type': 'application/json' }).end(alive);
    }
  });
}
