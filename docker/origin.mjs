// The site of compose.yaml: answers every request with what it got.
import { createServer } from 'node:http';

createServer((request, response) => {
  response.setHeader('content-type', 'application/json');
  response.end(`${JSON.stringify({ method: request.method, url: request.url, headers: request.headers })}\n`);
}).listen(8000);
