import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { TransactionObserver, TransactionView } from '../engine/transaction-view.ts';

const prefix = 'appsec_edge_';

/** Services with a label of their own, the first to come; the others share one. */
const maxServices = 100;

/** What /metrics shows. Names end in their unit; docs/metrics.md lists them and a test compares. */
export class Metrics {
  readonly registry = new Registry();

  readonly connections = this.counter('connections_total', 'Connections accepted, by door.', ['door']);
  readonly connectionsRefused = this.counter(
    'connections_refused_total',
    'Connections refused, by door and reason.',
    ['door', 'reason'],
  );
  readonly messages = this.counter('messages_total', 'Messages by door and name.', ['door', 'message']);
  readonly errors = this.counter('errors_total', 'Errors by door and kind.', ['door', 'kind']);
  readonly transactions = this.counter('transactions_total', 'Transactions ended, by door and reason.', [
    'door',
    'reason',
  ]);
  readonly verdicts = this.counter('verdicts_total', 'Transactions ended, by verdict.', [
    'door',
    'verdict',
    'service',
  ]);
  readonly wouldBlock = this.counter(
    'would_block_total',
    'Transactions let through because their application only reports.',
    ['door', 'service'],
  );
  readonly detections = this.counter('detections_total', 'Messages in which rules matched, by phase.', [
    'door',
    'phase',
  ]);
  readonly ruleMatches = this.counter('rule_matches_total', 'Rule matches, by rule.', ['rule']);
  readonly rateLimited = this.counter(
    'detections_rate_limited_total',
    'Detections counted but not reported (DD_APPSEC_TRACE_RATE_LIMIT).',
  );
  readonly bodies = this.counter('bodies_total', 'Bodies inspected, by phase and format.', [
    'phase',
    'format',
  ]);
  readonly partialBodies = this.counter('bodies_partial_total', 'Bodies of which only a part was seen.', [
    'phase',
  ]);
  readonly skipped = this.counter('skipped_total', 'Messages let through without analysis, by reason.', [
    'door',
    'reason',
  ]);
  readonly engineThreadsLost = this.counter(
    'engine_threads_lost_total',
    'Engine threads that ended and were replaced.',
  );
  readonly wafTimeouts = this.counter('waf_timeouts_total', 'WAF runs that ran out of time.');
  readonly wafSeconds = new Histogram({
    name: `${prefix}waf_seconds`,
    help: 'Time inside libddwaf per run.',
    labelNames: ['phase'],
    buckets: [0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025],
    registers: [this.registry],
  });

  readonly #services = new Set<string>();

  /** @param ofProcess metrics of Node and the process are added, which only one thread needs to say. */
  constructor({ ofProcess } = { ofProcess: true }) {
    if (ofProcess) collectDefaultMetrics({ register: this.registry });
  }

  /** Requests that name no application have no such label. HAProxy may draw names from what clients send: see above. */
  #serviceLabels(service: string | undefined): { service?: string } {
    if (service === undefined) return {};
    if (this.#services.size < maxServices) this.#services.add(service);
    return { service: this.#services.has(service) ? service : 'other' };
  }

  /** A counter that is kept elsewhere. */
  countedElsewhere(name: string, help: string, value: () => number): void {
    new Counter({
      name: `${prefix}${name}`,
      help,
      registers: [this.registry],
      collect() {
        this.reset();
        this.inc(value());
      },
    });
  }

  gauge(name: string, help: string, value: () => number): void {
    new Gauge({
      name: `${prefix}${name}`,
      help,
      registers: [this.registry],
      collect() {
        this.set(value());
      },
    });
  }

  observer(): TransactionObserver {
    return {
      wafRan: ({ door: { name: door } }, phase, result) => {
        this.wafSeconds.observe({ phase }, result.durationUs / 1_000_000);
        if (result.timeout) this.wafTimeouts.inc();
        if (result.errorCode !== undefined) this.errors.inc({ door, kind: 'waf' });
      },
      detected: ({ door }, phase, events, _verdict, reported) => {
        this.detections.inc({ door: door.name, phase });
        for (const event of events) this.ruleMatches.inc({ rule: event.rule.id });
        if (!reported) this.rateLimited.inc();
      },
      bodyRead: (_transaction, phase, body) => {
        this.bodies.inc({ phase, format: body.format });
        if (body.partial) this.partialBodies.inc({ phase });
      },
      ended: (transaction, reason) => {
        const { name: door } = transaction.door;
        this.transactions.inc({ door, reason });
        const labels = { door, ...this.#serviceLabels(transaction.application?.service) };
        this.verdicts.inc({ ...labels, verdict: verdictLabel(transaction) });
        if (transaction.wouldBlock) this.wouldBlock.inc(labels);
      },
    };
  }

  counter<const T extends string>(name: string, help: string, labelNames: readonly T[] = []): Counter<T> {
    return new Counter({ name: `${prefix}${name}`, help, labelNames, registers: [this.registry] });
  }
}

/** As HAProxy's log has it: nothing found is a pass only where everything was looked at. */
function verdictLabel({ verdict, coverage }: TransactionView): string {
  return verdict.kind === 'pass' && coverage !== 'whole' ? coverage : verdict.kind;
}
