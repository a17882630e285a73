// The short run of fuzz/grpc/: hostile HTTP/2 and gRPC, an honest client beside them. The long one is `npm run fuzz:grpc`.
import { expect, it } from 'vitest';
import { fuzzGrpc } from '../../fuzz/grpc/run.ts';
import { scenes } from '../../fuzz/grpc/scenes.ts';
import { startBareTarget } from '../../fuzz/grpc/target.ts';

/** Another one each time, and the same again by APPSEC_EDGE_FUZZ_SEED: what is played when is up to the machine. */
const seed = Number(process.env['APPSEC_EDGE_FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 31));

it('any bytes and any conduct on a gRPC socket harm neither the server nor other connections', {
  timeout: 240_000,
}, async () => {
  console.log(`fuzz: APPSEC_EDGE_FUZZ_SEED=${seed}`);
  const target = await startBareTarget();
  try {
    const report = await fuzzGrpc(target, { seed, seconds: 30, say: () => undefined });
    console.log(`${JSON.stringify(report.played)}\n${report.notes.join('\n')}`);

    expect(report.findings).toEqual([]);
    for (const kind of ['neighbour', 'answers', 'frames', ...scenes.keys()]) {
      expect(report.played[kind], kind).toBeGreaterThan(0);
    }
  } finally {
    target.stop();
  }
});
