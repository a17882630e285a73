// The short run of fuzz/: every kind of hostile traffic against the built daemon, once. The long one is `npm run fuzz`.
import { expect, it } from 'vitest';
import { fuzz } from '../../fuzz/run.ts';

/** Another one each time, and the same again by APPSEC_EDGE_FUZZ_SEED: which session is played when is up to the machine. */
const seed = Number(process.env['APPSEC_EDGE_FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 31));

it('any bytes and any conduct on the SPOP socket harm neither the daemon nor other connections', {
  timeout: 400_000,
}, async () => {
  console.log(`fuzz: APPSEC_EDGE_FUZZ_SEED=${seed}`);
  const report = await fuzz({
    seed,
    seconds: 240,
    roundSeconds: 60,
    most: { rounds: 2, sessions: 600 },
    say: (line) => console.log(`fuzz: ${line}`),
  });
  console.log(`${report.table}\n${report.notes.join('\n')}`);

  expect(report.findings).toEqual([]);
  for (const kind of ['neighbour', 'structured', 'blind', 'conversation']) {
    expect(report.tallies.get(kind)?.acks, kind).toBeGreaterThan(0);
  }
});
