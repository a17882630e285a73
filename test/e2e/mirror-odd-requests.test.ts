// What a proxy lets through and mirrors is analysed, however odd: no blind spot between the receiver and the origin. What
// becomes of each request is the table in docs/security.md.
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type MirrorDaemon, mirrorDaemon, sendRaw, TolerantOrigin } from './support/mirror-rig.ts';
import { describeEachSender, type MirrorSender } from './support/mirror-sender.ts';
import { oddRequests } from './support/odd-requests.ts';

/** What is told by docs/security.md: `found`, `refused` by the proxy, or `unseen`. */
type Outcome = 'found' | 'refused' | 'unseen';

describeEachSender('an odd request', (kind) => {
  let receiver: MirrorDaemon;
  let origin: TolerantOrigin;
  let sender: MirrorSender;

  beforeAll(async () => {
    [receiver, origin] = [await mirrorDaemon(), await new TolerantOrigin().start()];
    await receiver.daemon.start();
    sender = await kind.start({ originPort: origin.port, mirrorPort: receiver.port });
  });
  afterAll(async () => {
    await sender?.stop();
    await receiver?.daemon.stop();
    await origin?.stop();
  });

  it('that reaches the origin is analysed, as the table says', async () => {
    const expected = documentedOutcomes(kind.name);
    const sent = oddRequests.map(({ name, bytes }, index) => ({ name, mark: `odd-${index}-`, bytes }));
    for (const { mark, bytes } of sent) {
      await sendRaw(sender.port, bytes.replace('MARK', mark), { timeoutMs: 1000 });
    }
    const isFound = (mark: string): boolean => receiver.daemon.securityEvents(mark).length > 0;
    // Copies may come after the origin has answered.
    const deadline = Date.now() + 10_000;
    const waited = sent.filter(({ name }) => expected.get(name) === 'found');
    while (!waited.every(({ mark }) => isFound(mark)) && Date.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const outcomes = sent.map(({ name, mark }): [string, Outcome] => {
      if (isFound(mark)) return [name, 'found'];
      return [name, origin.targets.some((target) => target.includes(mark)) ? 'unseen' : 'refused'];
    });
    expect(new Map(outcomes)).toEqual(expected);
  });
});

/** The column of one sender in the table of docs/security.md. */
function documentedOutcomes(sender: string): Map<string, Outcome> {
  const page = readFileSync(new URL('../../docs/security.md', import.meta.url), 'utf8');
  const section = page.split('## Odd requests that are mirrored\n')[1]?.split('\n## ')[0] ?? '';
  const rows = section
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .map((line) =>
      line
        .slice(1, -1)
        .split(' | ')
        .map((cell) => cell.trim()),
    );
  const place = rows[0]?.findIndex((title) => title.toLowerCase() === sender.toLowerCase()) ?? -1;
  return new Map(rows.slice(2).map((row) => [row[0] ?? '', row[place] as Outcome]));
}
