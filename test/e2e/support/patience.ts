// Times that no test is about: so long that a machine which is busy with other things keeps within them.
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ConfSet, datadogSet } from './shipped-config.ts';

/** For what the shipped files read. A test about a time-out sets its own. */
export const patientTimeouts = { DD_SPOA_PROCESSING_TIMEOUT: '30s', DD_SPOA_HELLO_TIMEOUT: '30s' } as const;

/** Lines behind the agent's backend: a health check that is answered late is answered. */
export const patientChecks = '    timeout connect 30s\n    timeout check 30s\n';

let datadogCopy: ConfSet | undefined;

/**
 * Datadog's files as they are, but for the time-outs, which stand in the text.
 * @throws when they do not
 */
export function patientDatadogSet(): ConfSet {
  if (datadogCopy !== undefined) return datadogCopy;
  const folder = mkdtempSync(join(tmpdir(), 'appsec-edge-datadog-conf-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  cpSync(datadogSet.folder, folder, { recursive: true });
  for (const [name, shipped, patient] of [
    ['global-config.cfg', 'setenv DD_SPOA_PROCESSING_TIMEOUT 200ms', 'setenv DD_SPOA_PROCESSING_TIMEOUT 30s'],
    ['spoe.cfg', 'timeout hello 100ms', 'timeout hello 30s'],
  ] as const) {
    const file = join(folder, name);
    const text = readFileSync(file, 'utf8');
    if (!text.includes(shipped)) throw new Error(`${name} has no line "${shipped}"`);
    writeFileSync(file, text.replace(shipped, patient));
  }
  datadogCopy = { ...datadogSet, folder };
  return datadogCopy;
}

/** How long a test waits for a process, a log line, a span or a state that must come. */
export { patienceMs } from '../../support/patience.ts';
