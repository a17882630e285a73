// Sends one request through the proxy and collects what everybody saw of it.
import { type IncomingHttpHeaders, request } from 'node:http';
import { text } from 'node:stream/consumers';
import { type Finding, findingsIn, traceIdOf } from './agent.ts';
import type { Child } from './child.ts';
import type { DemoDoor } from './door.ts';
import type { Origin } from './origin.ts';
import type { Step } from './steps.ts';

const requestTimeoutMs = 15_000;
const logTimeoutMs = 3000;

export interface Answer {
  readonly status: number;
  readonly reason: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface Outcome {
  readonly step: Step;
  readonly answer: Answer;
  readonly reachedOrigin: boolean;
  readonly findings: readonly Finding[];
  /** The proxy's log line, undefined when none came in time. */
  readonly logLine: string | undefined;
  /** What was not as expected, a sentence each. */
  readonly faults: readonly string[];
}

export interface Site {
  readonly agent: Child;
  readonly proxy: Child;
  readonly door: DemoDoor;
  readonly origin: Origin;
}

export async function runStep(step: Step, port: number, site: Site): Promise<Outcome> {
  const { agent, proxy, origin, door } = site;
  const before = { agent: agent.lines.length, proxy: proxy.lines.length, origin: origin.requests() };
  const answer = await send(step, port);
  const logLine = await proxy.lineAfter(before.proxy, door.isRequestLog, logTimeoutMs);
  const traceId = logLine === undefined ? undefined : door.logField(logLine, 'trace');
  const foundSomething = logLine !== undefined && door.logField(logLine, 'rules') !== undefined;
  const event = foundSomething
    ? await agent.lineAfter(before.agent, (line) => isEventOf(line, traceId), logTimeoutMs)
    : undefined;
  const seen = {
    step,
    answer,
    reachedOrigin: origin.requests() > before.origin,
    findings: event === undefined ? [] : findingsIn(event),
    logLine,
  };
  return { ...seen, faults: faultsOf(door, seen) };
}

function isEventOf(line: string, traceId: string | undefined): boolean {
  const id = traceIdOf(line);
  return id !== undefined && id === traceId;
}

function faultsOf(
  door: DemoDoor,
  { step, answer, reachedOrigin, findings, logLine }: Omit<Outcome, 'faults'>,
): string[] {
  const { status, verdict, reachesOrigin, hidden, location } = step.expected;
  const faults: string[] = [];
  if (answer.status !== status) faults.push(`${door.proxy} answered ${answer.status} instead of ${status}`);
  if (location !== undefined && answer.headers.location !== location) {
    faults.push(`the client was sent to ${answer.headers.location ?? 'nowhere'} instead of ${location}`);
  }
  if (reachedOrigin !== reachesOrigin) {
    faults.push(reachedOrigin ? 'the request reached the origin' : 'the request did not reach the origin');
  }
  if (hidden !== undefined && `${JSON.stringify(answer.headers)}${answer.body}`.includes(hidden)) {
    faults.push(`the client was shown "${hidden}"`);
  }
  if (logLine === undefined) faults.push(`${door.proxy} logged nothing`);
  else if (door.logField(logLine, 'verdict') !== verdict) {
    faults.push(
      `${door.proxy}'s log says verdict "${door.logField(logLine, 'verdict') ?? '-'}" instead of "${verdict}"`,
    );
  }
  if (verdict !== 'pass' && findings.length === 0) faults.push('the agent logged no security event');
  return faults;
}

async function send(step: Step, port: number): Promise<Answer> {
  const body = step.json === undefined ? undefined : JSON.stringify(step.json);
  const headers = {
    accept: 'application/json',
    'user-agent': 'appsec-edge-demo',
    ...(body === undefined
      ? {}
      : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
  };
  const options = { host: '127.0.0.1', port, method: step.method, path: step.target, headers, agent: false };
  return new Promise((resolve, reject) => {
    const call = request({ ...options, timeout: requestTimeoutMs }, (response) => {
      text(response).then(
        (body) =>
          resolve({
            status: response.statusCode ?? 0,
            reason: response.statusMessage ?? '',
            headers: response.headers,
            body,
          }),
        reject,
      );
    });
    call.once('timeout', () => call.destroy(new Error(`no answer to ${step.method} ${step.target} in time`)));
    call.once('error', reject);
    call.end(body);
  });
}
