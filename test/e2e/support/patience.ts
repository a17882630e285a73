// Times that no test is about: so long that a machine which is busy with other things keeps within them.
import type { ConfFile } from './shipped-config.ts';

/** For what the shipped files read. A test about a time-out sets its own. */
export const patientTimeouts = { DD_SPOA_PROCESSING_TIMEOUT: '30s', DD_SPOA_HELLO_TIMEOUT: '30s' } as const;

/** Lines behind the agent's backend: a health check that is answered late is answered. */
export const patientChecks = '    timeout connect 30s\n    timeout check 30s\n';

/** An `edit` of Datadog's files, which have their time-out in the text. @throws when it is not there */
export function patientDatadog(name: ConfFile, text: string): string {
  if (name !== 'global-config.cfg') return text;
  const shipped = 'setenv DD_SPOA_PROCESSING_TIMEOUT 200ms';
  if (!text.includes(shipped)) throw new Error(`${name} has no line "${shipped}"`);
  return text.replace(shipped, 'setenv DD_SPOA_PROCESSING_TIMEOUT 30s');
}

/** How long a test waits for a process, a log line, a span or a state that must come. */
export { patienceMs } from '../../support/patience.ts';
