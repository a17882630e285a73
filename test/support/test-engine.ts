/** An engine on real libddwaf with the small ruleset of test/fixtures/rules/actions.json, and a record of what it told. */
import { readFileSync } from 'node:fs';
import { Engine, type EngineOptions } from '../../src/engine/engine.ts';
import type { HeaderList, RequestHead } from '../../src/engine/http.ts';
import type { EndReason, Phase, Transaction, TransactionObserver } from '../../src/engine/transaction.ts';
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
  readonly endings: { readonly transaction: Transaction; readonly reason: EndReason }[] = [];

  get reasons(): EndReason[] {
    return this.endings.map(({ reason }) => reason);
  }

  wafRan(_transaction: Transaction, phase: Phase, result: WafResult): void {
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

  ended(transaction: Transaction, reason: EndReason): void {
    this.endings.push({ transaction, reason });
  }
}

/** One second a run is enough for any machine: tests of the time-out say otherwise. */
export function testEngine(changes: Partial<EngineOptions> = {}): { engine: Engine; recorder: Recorder } {
  const recorder = new Recorder();
  const engine = new Engine({
    waf: changes.waf ?? loadTestWaf(),
    wafTimeoutUs: 1_000_000,
    bodyLimitBytes: 100_000,
    maxDecompressedBytes: 1_000_000,
    clientIpHeader: undefined,
    maxLiveTransactions: 1000,
    observers: [recorder],
    ...changes,
  });
  return { engine, recorder };
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
