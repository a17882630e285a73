// npm run demo: an origin, the agent and a real HAProxy with the shipped files, on ports of 127.0.0.1; with
// `-- --door ext-proc`, a real Envoy. Sends the requests of steps.ts, prints what became of each, and stays up to be tried with curl. `-- --once` ends instead:
// with 0 when everything was as expected.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startAgent } from './agent.ts';
import type { Child } from './child.ts';
import { type DemoDoorName, demoDoors } from './door.ts';
import { startOrigin } from './origin.ts';
import { choosePorts } from './ports.ts';
import { printCurlLines, printFailures, printLive, printOutcome, printTitle, say } from './print.ts';
import { runStep } from './run-step.ts';
import { steps } from './steps.ts';

/** Something an operator can put right: shown as a sentence, without a stack. */
class DemoError extends Error {}

/** As a shell says of a command that Ctrl-C ended. */
const interrupted = 130;

const children: Child[] = [];
let folder: string | undefined;
let ending = false;
let staysUp = false;

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(signal, () => void end(staysUp ? 0 : interrupted));

try {
  const failed = await demonstrate(readOptions());
  if (failed !== undefined) await end(failed ? 1 : 0);
} catch (cause) {
  // A child that is stopped while the demo starts is no failure of the demo.
  if (!ending) {
    say(`\nThe demo cannot continue: ${cause instanceof Error ? cause.message : String(cause)}`);
    await end(1);
  }
}

/** @returns whether a step failed, or undefined when the demo stays up. */
async function demonstrate({ once, door: name }: Options): Promise<boolean | undefined> {
  const door = demoDoors[name];
  const binary = await door.find(say);
  if ('reason' in binary) throw new DemoError(binary.reason);
  folder = await mkdtemp(join(tmpdir(), 'appsec-edge-demo-'));
  const ports = await choosePorts();
  const origin = await startOrigin(ports.origin);
  const agent = watched(await startAgent(door, ports, folder, (child) => children.push(child)));
  const proxy = watched(await door.start(binary.path, ports, folder, (child) => children.push(child)));
  printTitle(door, binary.version, ports);

  const outcomes = [];
  for (const [index, step] of steps.entries()) {
    const outcome = await runStep(step, ports.http, { agent, proxy, origin, door });
    printOutcome(door, index + 1, outcome);
    outcomes.push(outcome);
  }
  const failed = printFailures(outcomes);
  if (once) return failed;
  printCurlLines(ports);
  printLive(door, agent, proxy);
  staysUp = true;
  return undefined;
}

interface Options {
  readonly once: boolean;
  readonly door: DemoDoorName;
}

function readOptions(): Options {
  const names = Object.keys(demoDoors).join(' or ');
  try {
    const { values } = parseArgs({
      options: { once: { type: 'boolean', default: false }, door: { type: 'string', default: 'haproxy' } },
    });
    const { once, door } = values;
    if (door !== 'haproxy' && door !== 'ext-proc') throw new Error(`--door: '${door}' is not ${names}`);
    return { once, door };
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    say(`${message}\nUsage: npm run demo [-- [--door ${names}] [--once]]`);
    process.exit(2);
  }
}

/** A child that ends by itself ends the demo, and its last words are shown. */
function watched(child: Child): Child {
  void child.ended.then((how) => {
    if (ending) return;
    say(
      `\n${child.name} exited unexpectedly (${how}). Its last lines:\n${child.lines.slice(-20).join('\n')}`,
    );
    void end(1);
  });
  return child;
}

async function end(code: number): Promise<void> {
  if (ending) return;
  ending = true;
  // The proxy first: it would only log that the agent went away.
  for (const child of children.toReversed()) await child.stop();
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  process.exit(code);
}
