// `npm run bench`: one table about this machine, and the same as JSON. docs/benchmark.md says how to read it.
import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { exitOnSignals } from '../test/support/child-processes.ts';
import { benchCodec } from './codec.ts';
import { benchDaemon } from './daemon.ts';
import { benchGrpc } from './grpc.ts';
import { benchHaproxy } from './haproxy.ts';
import { benchMemory } from './memory.ts';
import { benchOverload } from './overload.ts';
import { benchProtocol } from './protocol.ts';
import { benchReceiver } from './receiver.ts';
import { sleep } from './support/clock.ts';
import { type Options, type PartLetter, readOptions, usage } from './support/options.ts';
import { machineIdleMs } from './support/process-stats.ts';
import { printSection, type Section } from './support/table.ts';
import { benchThreads } from './threads.ts';

const parts: Readonly<Record<PartLetter, (options: Options) => Promise<Section>>> = {
  a: benchCodec,
  b: benchProtocol,
  c: benchDaemon,
  d: benchThreads,
  e: benchMemory,
  f: benchHaproxy,
  g: benchOverload,
  h: benchGrpc,
  i: benchReceiver,
};

async function main(options: Options): Promise<void> {
  exitOnSignals();
  const startedAt = performance.now();
  const neighbours = await neighbourCores();
  const machine = {
    cpu: cpus()[0]?.model,
    cores: cpus().length,
    node: process.version,
    neighbourCores: neighbours,
  };
  process.stdout.write(
    `appsec-edge benchmark: ${machine.cores} cores of ${machine.cpu}, Node ${machine.node}\n`,
  );
  process.stdout.write(`tracing ${options.tracing ? 'on, without a Datadog Agent' : 'off'}\n`);
  process.stdout.write(`cores used by other programs before the start: ${neighbours.toFixed(1)}\n`);
  const sections: Record<string, unknown> = {};
  for (const letter of options.only) {
    const section = await parts[letter](options);
    printSection(section);
    sections[letter] = section.figures;
  }
  const seconds = (performance.now() - startedAt) / 1000;
  const results = {
    at: new Date().toISOString(),
    machine,
    tracing: options.tracing,
    seconds,
    parts: sections,
  };
  writeFileSync(options.jsonFile, `${JSON.stringify(results, null, 2)}\n`);
  process.stdout.write(`\n${seconds.toFixed(0)} seconds; JSON in ${options.jsonFile}\n`);
}

/** Over one second. Where it is not close to 0, percentiles say more about the neighbours than about us. */
async function neighbourCores(): Promise<number> {
  const [idleMs, startedAt] = [machineIdleMs(), performance.now()];
  await sleep(1000);
  return Math.max(0, cpus().length - (machineIdleMs() - idleMs) / (performance.now() - startedAt));
}

function optionsOrExit(): Options {
  try {
    return readOptions(process.argv.slice(2));
  } catch (cause) {
    process.stderr.write(`bench: ${cause instanceof Error ? cause.message : String(cause)}\n${usage}\n`);
    process.exit(2);
  }
}

await main(optionsOrExit());
