/** `npm run fuzz:grpc -- --minutes 10 --seed N`: see "Fuzzing" in CONTRIBUTING.md. */
import { parseArgs } from 'node:util';
import { exitOnSignals } from '../../test/support/child-processes.ts';
import { fuzzGrpc } from './run.ts';
import { startBareTarget } from './target.ts';

exitOnSignals();
const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
  },
});
const [minutes, seed] = [Number(values.minutes), Number(values.seed)];
if (!(minutes > 0) || !Number.isInteger(seed)) {
  console.error('usage: npm run fuzz:grpc -- [--minutes 10] [--seed N]');
  process.exit(2);
}
console.log(`seed ${seed}, ${minutes} minutes`);
const startedAtMs = performance.now();
const target = await startBareTarget();
const report = await fuzzGrpc(target, {
  ...{ seed, seconds: minutes * 60 },
  say: (line) => console.log(`${((performance.now() - startedAtMs) / 60_000).toFixed(1)} min  ${line}`),
});
target.stop();
console.log(
  `\n${JSON.stringify(report.played, null, 2)}\n${report.notes.join('\n')}\nfindings: ${report.findings.length}`,
);
process.exitCode = report.findings.length === 0 ? 0 : 1;
