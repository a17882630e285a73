// npm run demo: an origin, the agent and a real HAProxy with the shipped files, on ports of 127.0.0.1. Sends the
// requests of steps.ts, prints what became of each, and stays up to be tried with curl. `-- --once` ends instead:
// with 0 when everything was as expected.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startAgent } from './agent.ts';
import type { Child } from './child.ts';
import { findHaproxy } from './find-haproxy.ts';
import { startHaproxy } from './haproxy.ts';
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
async function demonstrate({ once }: { once: boolean }): Promise<boolean | undefined> {
  const binary = await findHaproxy(say);
  if ('reason' in binary) throw new DemoError(binary.reason);
  folder = await mkdtemp(join(tmpdir(), 'appsec-edge-demo-'));
  const ports = await choosePorts();
  const origin = await startOrigin(ports.origin);
  const agent = watched(await startAgent(ports, folder, (child) => children.push(child)));
  const haproxy = watched(await startHaproxy(binary.path, ports, folder, (child) => children.push(child)));
  printTitle(binary.version, ports);

  const outcomes = [];
  for (const [index, step] of steps.entries()) {
    const outcome = await runStep(step, ports.http, { agent, haproxy, origin });
    printOutcome(index + 1, outcome);
    outcomes.push(outcome);
  }
  const failed = printFailures(outcomes);
  if (once) return failed;
  printCurlLines(ports);
  printLive(agent, haproxy);
  staysUp = true;
  return undefined;
}

function readOptions(): { once: boolean } {
  try {
    const { values } = parseArgs({ options: { once: { type: 'boolean', default: false } } });
    return { once: values.once };
  } catch (cause) {
    say(`${cause instanceof Error ? cause.message : String(cause)}\nUsage: npm run demo [-- --once]`);
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
  // HAProxy first: it would only log that the agent went away.
  for (const child of children.toReversed()) await child.stop();
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  process.exit(code);
}
