import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { TransactionObserver, TransactionView } from '../engine/transaction-view.ts';

const prefix = 'appsec_edge_';

/** Services with a label of their own, the first to come; the others share one. */
const maxServices = 100;

/** Kinds of errors that every door has; each door adds its own. docs/errors.md says what to do about them. */
export const engineErrorKinds = ['internal', 'waf'] as const;
export type EngineErrorKind = (typeof engineErrorKinds)[number];

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
  readonly ruleMatches = this.counter('rule_matches_total', 'Rule matches, by rule.', ['door', 'rule']);
  readonly rateLimited = this.counter(
    'detections_rate_limited_total',
    'Detections counted but not reported (DD_APPSEC_TRACE_RATE_LIMIT).',
    ['door'],
  );
  readonly bodies = this.counter('bodies_total', 'Bodies inspected, by phase and format.', [
    'door',
    'phase',
    'format',
  ]);
  readonly partialBodies = this.counter('bodies_partial_total', 'Bodies of which only a part was seen.', [
    'door',
    'phase',
  ]);
  readonly skipped = this.counter('skipped_total', 'Messages let through uninspected, by reason.', [
    'door',
    'reason',
  ]);
  readonly engineThreadsLost = this.counter(
    'engine_threads_lost_total',
    'Engine threads that ended or were given up.',
  );
  readonly wafTimeouts = this.counter('waf_timeouts_total', 'WAF runs that ran out of time.', ['door']);
  readonly wafSeconds = new Histogram({
    name: `${prefix}waf_seconds`,
    help: 'Time inside libddwaf per run.',
    labelNames: ['door', 'phase'],
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

  /** @param door that the error belongs to; undefined: none. */
  error(kind: EngineErrorKind, door?: string): void {
    this.errors.inc(door === undefined ? { kind } : { door, kind });
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
        this.wafSeconds.observe({ door, phase }, result.durationUs / 1_000_000);
        if (result.timeout) this.wafTimeouts.inc({ door });
        if (result.errorCode !== undefined) this.error('waf', door);
      },
      detected: ({ door: { name: door } }, phase, events, _verdict, reported) => {
        this.detections.inc({ door, phase });
        for (const event of events) this.ruleMatches.inc({ door, rule: event.rule.id });
        if (!reported) this.rateLimited.inc({ door });
      },
      bodyRead: ({ door: { name: door } }, phase, body) => {
        this.bodies.inc({ door, phase, format: body.format });
        if (body.partial) this.partialBodies.inc({ door, phase });
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

/** As in HAProxy's log: without a finding, it is only a pass if everything was inspected. */
function verdictLabel({ verdict, coverage }: TransactionView): string {
  return verdict.kind === 'pass' && coverage !== 'whole' ? coverage : verdict.kind;
}
