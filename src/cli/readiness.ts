import { connect } from 'node:net';
import { messageOf } from '../message-of.ts';

/** Long enough for a busy process to answer, shorter than the time-outs of container runtimes. */
const timeoutMs = 3000;

/** Between two attempts while the process starts, which takes about a second. */
const pauseMs = 100;

export interface Readiness {
  readonly ready: boolean;
  /** One line, for the log of the container's health check. */
  readonly message: string;
}

/** Where the health port is. */
export interface HealthAddress {
  readonly host: string;
  readonly healthcheckPort: number;
}

/** Asks until the process is ready, for at most `waitMs`. Returns the last answer. Never rejects. */
export async function waitForReadiness(settings: HealthAddress, waitMs: number): Promise<Readiness> {
  const deadline = performance.now() + waitMs;
  for (;;) {
    const answer = await askReadiness(settings);
    if (answer.ready || performance.now() + pauseMs > deadline) return answer;
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}

/**
 * Never rejects: not reachable is an answer.
 *
 * Container runtimes and service managers do this every few seconds, in a process of its own. Half of the memory of
 * such a process was node:http, and one line of HTTP does not need it.
 */
export function askReadiness(settings: HealthAddress, limitMs: number = timeoutMs): Promise<Readiness> {
  const url = readinessUrl(settings);
  return new Promise((resolve) => {
    const socket = connect({ host: reachableHost(settings), port: settings.healthcheckPort });
    const answer = (ready: boolean, what: string): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ ready, message: `${ready ? 'ready' : 'not ready'}: ${url} ${what}` });
    };
    const timer = setTimeout(() => answer(false, `did not answer within ${limitMs} ms`), limitMs);
    let text = '';
    socket.setEncoding('latin1').on('data', (part: string) => {
      text += part;
      // Enough for the status: "HTTP/1.1 200".
      if (text.length < 12) return;
      const status = /^HTTP\/1\.\d (\d{3})/.exec(text)?.[1];
      answer(status === '200', status === undefined ? 'did not answer with HTTP' : `answered ${status}`);
    });
    socket.once('end', () => answer(false, 'closed the connection without answering'));
    socket.once('error', (cause) => answer(false, `cannot be reached: ${messageOf(cause)}`));
    // HTTP/1.0 wants no Host.
    socket.write('GET /ready HTTP/1.0\r\n\r\n');
  });
}

/** The URL at which a listener on `host` can be reached from the same machine. */
export function readinessUrl(settings: HealthAddress): string {
  const host = reachableHost(settings);
  return `http://${host.includes(':') ? `[${host}]` : host}:${settings.healthcheckPort}/ready`;
}

/** An address to listen on may stand for all of them. */
function reachableHost({ host }: HealthAddress): string {
  const bare = host.replace(/^\[|\]$/g, '');
  return bare === '0.0.0.0' || bare === '' ? '127.0.0.1' : bare === '::' ? '::1' : bare;
}
