// The site behind HAProxy: a few pages, two of which give away what they should not.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';

/** What the demo's rules must keep from the client. Datadog's and Amazon's own documentation use such examples. */
export const leakedKeyId = 'AKIAIOSFODNN7EXAMPLE';

export interface Origin {
  /** Requests that came through to it. */
  readonly requests: () => number;
}

export async function startOrigin(port: number): Promise<Origin> {
  let requests = 0;
  const server = createServer((request, response) => {
    requests += 1;
    request.resume().once('end', () => answer(request, response));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  return { requests: () => requests };
}

function answer(request: IncomingMessage, response: ServerResponse): void {
  const path = request.url?.split('?', 1)[0];
  switch (path) {
    case '/api/config':
      sendJson(response, 200, { region: 'eu-west-1', credentials: { key_id: leakedKeyId } });
      return;
    case '/report':
      response.setHeader('x-debug-error', 'TypeError: user is null at /srv/app/report.js:12:7');
      response.writeHead(500, { 'content-type': 'text/plain' }).end('Something went wrong.\n');
      return;
    case '/api/orders':
      sendJson(response, 201, { order: 4711, state: 'accepted' });
      return;
    default:
      response.writeHead(200, { 'content-type': 'text/plain' }).end(`Hello from the origin: ${path}\n`);
  }
}

function sendJson(response: ServerResponse, status: number, value: object): void {
  const body = `${JSON.stringify(value)}\n`;
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
  });
  response.end(body);
}
