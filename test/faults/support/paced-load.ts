// Clients that keep to a rate, and see in each response what HAProxy knows of its analysis: nothing depends on log lines,
// of which HAProxy drops some when it is busy. No vitest: the soak uses it too.
import { Http1Connection, type HttpResponse, type RequestParts } from '../../e2e/support/http-client.ts';

/** For the frontend: the client is shown how the analysis went. */
export const shownOutcome = `
    http-after-response set-header x-dd-error %[var(txn.dd.spoe_error)]
    http-after-response set-header x-dd-verdict %[var(txn.dd.verdict)]
    http-after-response set-header x-dd-reason %[var(txn.dd.skipped_reason)]
`;

/** Of ten requests, one is an attack in the request, one in the response, and two have bodies. */
const requests: readonly RequestParts[] = [
  ...[{ target: '/' }, { target: '/json' }, { target: '/?q=attack-block' }, { target: '/' }],
  { method: 'POST', target: '/echo', headers: { 'content-type': 'application/json' }, body: '{"a":1}' },
  ...[{ target: '/say?leak=leak-block' }, { target: '/json?size=2000' }, { target: '/' }],
  ...[{ method: 'POST', target: '/echo', body: 'b=1' }, { target: '/' }],
];
const isAttack = (target: string): boolean => target.includes('-block');

export interface LoadCounts {
  readonly sent: number;
  /** No response, another status than expected, or an attack that went through though nothing was lost. */
  readonly failures: readonly string[];
  /** How often which outcome was not a whole analysis: `error 1`, `skipped overload`, … */
  readonly lost: ReadonlyMap<string, number>;
  readonly lostCount: number;
  /** A second, since the start. */
  readonly rate: number;
}

export class PacedLoad {
  readonly #port: number;
  readonly #intervalMs: number;
  readonly #startedMs = performance.now();
  readonly #failures: string[] = [];
  readonly #lost = new Map<string, number>();
  readonly #waiting = new Map<() => void, number>();
  readonly #clients: Promise<void>[];
  #slots = 0;
  #answered = 0;
  #lostCount = 0;
  #running = true;

  /** @param rate requests a second, of all clients together, as long as they are answered in time */
  constructor(port: number, rate: number, clients = 16) {
    this.#port = port;
    this.#intervalMs = 1000 / rate;
    this.#clients = Array.from({ length: clients }, () => this.#client());
  }

  get answered(): number {
    return this.#answered;
  }

  /** Resolves when so many more requests have been answered. */
  seen(more: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#waiting.delete(wake);
        resolve();
      };
      this.#waiting.set(wake, this.#answered + more);
    });
  }

  counts(): LoadCounts {
    return {
      ...{ sent: this.#answered, failures: this.#failures, lost: this.#lost, lostCount: this.#lostCount },
      rate: this.#answered / ((performance.now() - this.#startedMs) / 1000),
    };
  }

  /** Resolves when every client has had its last answer. */
  async stop(): Promise<LoadCounts> {
    this.#running = false;
    const counts = this.counts();
    await Promise.all(this.#clients);
    return { ...this.counts(), rate: counts.rate };
  }

  async #client(): Promise<void> {
    let connection = new Http1Connection(this.#port);
    for (;;) {
      const slot = this.#slots++;
      await this.#until(this.#startedMs + slot * this.#intervalMs);
      if (!this.#running) break;
      const request = requests[slot % requests.length] ?? {};
      let response: HttpResponse | undefined;
      try {
        response = await connection.request(request);
        this.#judge(request.target ?? '/', response);
      } catch (cause) {
        this.#failures.push(`${request.target}: ${String(cause)}`);
      }
      if (response === undefined || headerOf(response, 'connection') === 'close') {
        connection.close();
        connection = new Http1Connection(this.#port);
      }
      this.#answered++;
      for (const [wake, at] of this.#waiting) if (this.#answered >= at) wake();
    }
    connection.close();
  }

  async #until(atMs: number): Promise<void> {
    const waitMs = atMs - performance.now();
    if (waitMs > 1) await new Promise((resolve) => setTimeout(resolve, waitMs));
  }

  #judge(target: string, response: HttpResponse): void {
    const outcome = lossOf(response);
    if (outcome !== undefined) {
      this.#lostCount++;
      this.#lost.set(outcome, (this.#lost.get(outcome) ?? 0) + 1);
    }
    const blocked = response.status === 403 && isAttack(target);
    const passed = response.status === 200 && (!isAttack(target) || outcome !== undefined);
    if (!blocked && !passed) {
      const said = response.headers.filter(([name]) => name.startsWith('x-dd-')).join(' ');
      this.#failures.push(`${target}: ${response.status} ${said}`);
    }
  }
}

/** Undefined when every question about it was answered with a whole analysis. */
function lossOf(response: HttpResponse): string | undefined {
  const error = headerOf(response, 'x-dd-error');
  if (error !== '') return `error ${error}`;
  const reason = headerOf(response, 'x-dd-reason');
  if (reason !== '') return `skipped ${reason}`;
  const verdict = headerOf(response, 'x-dd-verdict');
  return /^(pass|report|block|redirect)$/.test(verdict) ? undefined : `verdict ${verdict}`;
}

function headerOf(response: HttpResponse, name: string): string {
  return response.headers.find(([key]) => key === name)?.[1] ?? '';
}
