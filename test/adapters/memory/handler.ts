import type { HandlerServices } from '../../../src/daemon/door.ts';
import { type Analysis, isBlocking } from '../../../src/engine/analysis.ts';
import { sharedNowMs } from '../../../src/workers/channel.ts';
import type { JobHandler } from '../../../src/workers/jobs.ts';
import { observeMemory } from './observers.ts';
import type { MemoryConfig } from './settings.ts';

/**
 * A payload: the transaction's id (empty before the first answer) and LF; then the client's message: a line of words,
 * header lines, an empty line, a body. An answer looks alike: verdict, id, whether more of the body is wanted, status.
 */
export function createHandler(_config: MemoryConfig, services: HandlerServices): JobHandler {
  const { inspector, pages, transactionTimeoutMs: ttlMs } = services;
  const observer = observeMemory(services.metrics);

  function analysed(payload: Buffer): Analysis | Promise<Analysis> | undefined {
    const blank = payload.indexOf('\n\n', 1);
    const head = payload.toString('latin1', 0, blank < 0 ? payload.length : blank);
    const [id = '', line = '', ...fields] = head.split('\n');
    const [name = '', first = '', target = '', peerAddress = '', ...flags] = line.split(' ');
    const headers = fields.map((field) => {
      const [key = '', value = ''] = field.split(/: ?(.*)/s);
      return [key.toLowerCase(), value] as const;
    });
    const bytes = payload.subarray(blank < 0 ? payload.length : blank + 2);
    const chunk = { bytes, declaredSize: undefined, endOfStream: first !== 'more' };
    observer.message(name);
    if (name === 'request' && id === '') {
      const clientIp = flags.includes('vouched') ? peerAddress : undefined;
      const reportOnly = flags.includes('reports');
      const application = { service: undefined, environment: undefined, version: undefined, reportOnly };
      const rest = { peerPort: undefined, https: false, declaredBodySize: undefined, application, clientIp };
      const endOfStream = flags.includes('bodiless');
      const head = { method: first, target, headers, peerAddress, endOfStream };
      return inspector.requestHeaders({ ...head, ...rest }, ttlMs);
    }
    if (name === 'request-body') return inspector.requestBody(id || undefined, chunk, ttlMs);
    if (name === 'response-body') return inspector.responseBody(id || undefined, chunk, ttlMs);
    const response = { status: Number(first), headers };
    if (name === 'response') return inspector.responseHeaders(id || undefined, response, ttlMs);
    if (name === 'end') inspector.end(id, first === 'aborted' ? 'aborted' : 'no-response');
    return undefined;
  }

  function rendered(analysis: Analysis | undefined): Buffer {
    if (analysis === undefined || analysis.kind === 'uninspected') return Buffer.from('unseen');
    const said = `${analysis.transaction.id} ${analysis.wantsBody ? 'more' : 'enough'}`;
    // Of what is deferred nobody knows the verdict yet, but it will block nothing.
    if (analysis.kind === 'deferred' || !isBlocking(analysis.verdict)) return Buffer.from(`pass ${said}`);
    const { status, headers, body } = pages.render(analysis.verdict);
    const fields = headers.map(([name, value]) => `${name}: ${value}\n`).join('');
    return Buffer.concat([Buffer.from(`block ${said} ${status}\n${fields}\n`), body]);
  }

  function skipped(payload: Buffer): void {
    const [id = '', message = ''] = payload.toString('latin1').split('\n', 2);
    inspector.skipped(id, message.startsWith('response'));
  }

  return {
    skipped,
    workOnBacklog: () => inspector.workOnBacklog(),
    get liveTransactions() {
      return inspector.liveTransactions;
    },
    /** An error that is thrown here is contained: the door gets the job back, shed as `engine-lost`. */
    async handle({ payload, deadlineMs }, answer) {
      if (sharedNowMs() <= deadlineMs) return answer(rendered(await analysed(payload)));
      skipped(payload);
      observer.skipped('overload');
      answer(Buffer.from('skipped'));
    },
  };
}
