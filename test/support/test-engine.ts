/** An engine on real libddwaf with the small ruleset of test/fixtures/rules/actions.json, and a record of what it told. */
import { readFileSync } from 'node:fs';
import type { Analysis, Inspected } from '../../src/engine/analysis.ts';
import { Engine, type EngineOptions } from '../../src/engine/engine.ts';
import type { BodyChunk, HeaderList, RequestHead, ResponseHead } from '../../src/engine/http.ts';
import type { DoorEndReason, Inspector } from '../../src/engine/inspector.ts';
import type { Transaction } from '../../src/engine/transaction.ts';
import type {
  DoorTraits,
  EndReason,
  Phase,
  TransactionObserver,
  TransactionView,
} from '../../src/engine/transaction-view.ts';
import { Waf, type WafOptions } from '../../src/engine/waf/waf.ts';
import type { WafResult } from '../../src/engine/waf/waf-result.ts';

export function readFixtureRules(name: 'actions' | 'partly-invalid' = 'actions'): object {
  return JSON.parse(readFileSync(new URL(`../fixtures/rules/${name}.json`, import.meta.url), 'utf8'));
}

export function loadTestWaf(options: WafOptions = {}): Waf {
  return Waf.load(readFixtureRules(), 'test/fixtures/rules/actions.json', options);
}

/** Everything that an engine told its observers, in order. */
export class Recorder implements TransactionObserver {
  readonly runs: { readonly phase: Phase; readonly result: WafResult }[] = [];
  readonly detections: {
    readonly phase: Phase;
    readonly verdict: string;
    readonly rules: readonly string[];
    readonly reported: boolean;
  }[] = [];
  readonly endings: { readonly transaction: TransactionView; readonly reason: EndReason }[] = [];

  get reasons(): EndReason[] {
    return this.endings.map(({ reason }) => reason);
  }

  wafRan(_transaction: TransactionView, phase: Phase, result: WafResult): void {
    this.runs.push({ phase, result });
  }

  detected(
    ...[, phase, events, verdict, reported]: Parameters<NonNullable<TransactionObserver['detected']>>
  ): void {
    this.detections.push({
      phase,
      verdict: verdict.kind,
      rules: events.map(({ rule }) => rule.id),
      reported,
    });
  }

  ended(transaction: TransactionView, reason: EndReason): void {
    this.endings.push({ transaction, reason });
  }
}

/** A door that sees everything and may block. */
export const testDoor: DoorTraits = {
  name: 'test',
  component: 'haproxy-spoa',
  defaultService: 'test',
  reportOnly: false,
  seesResponses: true,
};

export const reportingDoor: DoorTraits = { ...testDoor, reportOnly: true };

/** An engine, and one door's view of it; it is never switched off while it is asked. */
export class TestEngine extends Engine implements Inspector {
  readonly inspector: Inspector;

  constructor(options: EngineOptions, door: DoorTraits = testDoor) {
    super(options);
    this.inspector = this.through(door);
  }

  requestHeaders(request: RequestHead, timeToLiveMs: number): Inspected {
    return inspected(this.inspector.requestHeaders(request, timeToLiveMs));
  }

  requestBody(
    id: string | undefined,
    chunk: BodyChunk,
    timeToLiveMs: number,
    traceId?: string,
  ): Inspected | Promise<Inspected> {
    return now(this.inspector.requestBody(id, chunk, timeToLiveMs, traceId));
  }

  responseHeaders(
    id: string | undefined,
    response: ResponseHead,
    timeToLiveMs: number,
    traceId?: string,
  ): Inspected {
    return inspected(this.inspector.responseHeaders(id, response, timeToLiveMs, traceId));
  }

  responseBody(
    id: string | undefined,
    chunk: BodyChunk,
    timeToLiveMs: number,
    traceId?: string,
  ): Inspected | Promise<Inspected> {
    return now(this.inspector.responseBody(id, chunk, timeToLiveMs, traceId));
  }

  skipped(id: string, last: boolean): void {
    this.inspector.skipped(id, last);
  }

  failed(id: string): void {
    this.inspector.failed(id);
  }

  end(id: string, reason: DoorEndReason): void {
    this.inspector.end(id, reason);
  }

  workOnBacklog(): boolean {
    return this.inspector.workOnBacklog();
  }

  releaseAll(): void {
    this.inspector.releaseAll();
  }

  /** The transaction itself, of which doors have a view. */
  transactionOf({ door, id }: TransactionView): Transaction {
    const transaction = this.find(door, id);
    if (transaction === undefined) throw new Error(`transaction ${id} has ended`);
    return transaction;
  }

  knows(id: string): boolean {
    return this.inspector.knows(id);
  }
}

function now(analysis: Analysis | Promise<Analysis>): Inspected | Promise<Inspected> {
  return analysis instanceof Promise ? analysis.then(inspected) : inspected(analysis);
}

export function inspected(analysis: Analysis): Inspected {
  if (analysis.kind !== 'inspected') throw new Error(`the message was not analysed: ${analysis.kind}`);
  return analysis;
}

/** One second a run is enough for any machine: tests of the time-out say otherwise. */
export function testEngine(
  changes: Partial<EngineOptions> = {},
  door: DoorTraits = testDoor,
): { engine: TestEngine; recorder: Recorder } {
  const recorder = new Recorder();
  const options = {
    waf: changes.waf ?? loadTestWaf(),
    wafTimeoutUs: 1_000_000,
    bodyLimitBytes: 100_000,
    maxDecompressedBytes: 1_000_000,
    clientIpHeader: undefined,
    maxLiveTransactions: 1000,
    observers: [recorder],
    ...changes,
  };
  return { engine: new TestEngine(options, door), recorder };
}

export function requestHead(
  target: string,
  headers: HeaderList = [['host', 'shop.test']],
  changes: Partial<RequestHead> = {},
): RequestHead {
  return {
    method: 'GET',
    target,
    headers,
    peerAddress: '203.0.113.7',
    peerPort: 40_000,
    https: false,
    declaredBodySize: undefined,
    ...changes,
  };
}

export const jsonHeaders: HeaderList = [
  ['host', 'shop.test'],
  ['content-type', 'application/json'],
];
