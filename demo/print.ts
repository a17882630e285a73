// What the demo says to a person.
import { styleText } from 'node:util';
import { type Finding, findingsIn } from './agent.ts';
import type { Child } from './child.ts';
import { isRequestLog } from './haproxy.ts';
import type { DemoPorts } from './ports.ts';
import type { Outcome } from './run-step.ts';
import { type Step, steps } from './steps.ts';

export function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

export function printTitle(haproxyVersion: string, ports: DemoPorts): void {
  say(styleText('bold', 'appsec-edge: a site behind HAProxy, protected'));
  say(`
  client ──► HAProxy ${haproxyVersion} :${ports.http} ──► origin :${ports.origin}
                  │ ▲
       "may it?"  ▼ │ "yes" / "no, and send this instead"
             the agent :${ports.spop}     health and metrics :${ports.health}

  Rules: Datadog's recommended ones. SQL and command injection are blocked, the rest is reported;
  demo/ruleset.ts adds three custom rules.`);
}

export function printOutcome(number: number, outcome: Outcome): void {
  const { step, answer, findings, logLine, faults } = outcome;
  say(`\n${styleText('bold', `${number}. ${step.title}`)}`);
  field('sent', `${step.method} ${step.target}`);
  if (step.json !== undefined) field('', JSON.stringify(step.json));
  field(
    'HAProxy',
    `${styleText(colour(answer.status), `${answer.status} ${answer.reason}`)}${details(outcome)}`,
  );
  field('origin', originSaw(outcome));
  if (findings.length === 0) field('agent', 'found nothing');
  for (const finding of findings) field('agent', describe(finding));
  field('log', styleText('dim', logLine ?? 'no line'));
  for (const fault of faults) field('', styleText('red', `✘ unexpected: ${fault}`));
}

/** @returns whether anything was not as expected. */
export function printFailures(outcomes: readonly Outcome[]): boolean {
  const failed = outcomes.filter(({ faults }) => faults.length > 0);
  say('');
  if (failed.length === 0) {
    say(styleText('green', `All ${outcomes.length} steps went as expected.`));
    return false;
  }
  say(styleText('red', `${failed.length} of ${outcomes.length} steps did not go as expected:`));
  for (const { step, faults } of failed) say(`  ${step.title}: ${faults.join('; ')}`);
  return true;
}

export function printCurlLines(ports: DemoPorts): void {
  say('\nThe demo keeps running. Try it from another terminal:\n');
  for (const step of steps) say(`  ${curlLine(step, ports.http)}`);
  say(`\n  curl http://127.0.0.1:${ports.health}/ready`);
  say(`  curl -s http://127.0.0.1:${ports.health}/metrics | grep ^appsec_edge_\n`);
  say('Press Ctrl-C to stop. Incoming requests are shown here:\n');
}

/** Everything that happens from now on, as it happens. */
export function printLive(agent: Child, haproxy: Child): void {
  agent.onLine((line) => {
    for (const finding of findingsIn(line)) field('agent', describe(finding));
  });
  haproxy.onLine((line) => field(isRequestLog(line) ? 'log' : 'HAProxy', line));
}

function field(name: string, value: string): void {
  say(`   ${name.padEnd(8)} ${value}`);
}

function describe({ id, name, where, what }: Finding): string {
  const found = what === '' ? '' : `: ${JSON.stringify(what)}`;
  return `${styleText('yellow', id)} ${name}, in ${where}${found}`;
}

function details({ answer, step }: Outcome): string {
  const { location } = answer.headers;
  if (location !== undefined) return ` to ${location}`;
  const body = answer.body.trim().replaceAll(/\s+/g, ' ');
  if (body === '') return '';
  return step.expected.verdict === 'block' || body.length > 100 ? `, ${body.slice(0, 100)} ...` : `, ${body}`;
}

function originSaw({ reachedOrigin, answer, step }: Outcome): string {
  if (!reachedOrigin) return 'did not get the request';
  const held = step.expected.verdict === 'block' && answer.status === 403;
  return held ? 'got the request; its response was held back' : 'got the request';
}

function colour(status: number): 'green' | 'red' | 'yellow' {
  if (status < 300) return 'green';
  return status < 400 ? 'yellow' : 'red';
}

function curlLine({ method, target, json }: Step, port: number): string {
  const url = `'http://127.0.0.1:${port}${target.replaceAll("'", '%27')}'`;
  if (json === undefined) return `curl -i ${url}`;
  const body = JSON.stringify(json).replaceAll("'", "'\\''");
  return `curl -i ${method === 'POST' ? '' : `-X ${method} `}${url} -H 'content-type: application/json' -d '${body}'`;
}
