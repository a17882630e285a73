import { createServer, type Server } from 'node:http';

/** Datadog's receiver answers these bytes to every request. */
const healthy = '{"status": "ok"}';
const leaving = '{"status": "leaving"}';

/** Node looks for requests that are late every 30 s unless it is told otherwise. */
const timeouts = {
  headersTimeout: 5000,
  requestTimeout: 10_000,
  keepAliveTimeout: 5000,
  connectionsCheckingInterval: 1000,
} as const;

/**
 * Answers 200 to any path and method, as Datadog's receiver: its manifest asks `/` for liveness and readiness. Only
 * `/ready` says that the agent is about to stop, with 503.
 */
export function createMirrorHealth(isLeaving: () => boolean): Server {
  return createServer(timeouts, (request, response) => {
    const path = request.url?.split('?', 1)[0];
    const refuses = path === '/ready' && isLeaving();
    const body = refuses ? leaving : healthy;
    response.writeHead(refuses ? 503 : 200, {
      'content-type': 'application/json',
      'content-length': body.length,
    });
    response.end(body);
    request.resume();
  });
}
