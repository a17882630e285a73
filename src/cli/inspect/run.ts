import type { Config } from '../../daemon/settings.ts';
import { type Analysis, type Inspected as InspectedMessage, isBlocking } from '../../engine/analysis.ts';
import { BlockPages } from '../../engine/block-page.ts';
import { Engine } from '../../engine/engine.ts';
import { headerValue } from '../../engine/http.ts';
import type { Inspector } from '../../engine/inspector.ts';
import type { DoorTraits, Phase, TransactionObserver } from '../../engine/transaction-view.ts';
import type { Verdict } from '../../engine/verdict.ts';
import type { Waf } from '../../engine/waf/waf.ts';
import type { WafEvent } from '../../engine/waf/waf-result.ts';
import { declaredSize, type GivenRequest, type GivenResponse } from './message.ts';

/** One place where a rule matched. Names as in Datadog's events; this is what `--json` prints. */
export interface Match {
  readonly phase: Phase;
  readonly rule_id: string;
  readonly rule_name: string;
  readonly type: string | undefined;
  readonly category: string | undefined;
  readonly confidence: string | undefined;
  readonly operator: string;
  readonly address: string | undefined;
  readonly key_path: readonly string[];
  readonly value: string | undefined;
  readonly highlight: readonly string[];
}

/** What was inspected in one phase. */
export interface Inspected {
  readonly phase: Phase;
  /** Of a body: how it was read. */
  format?: string;
  bytes?: number;
  partial: boolean;
  malformed?: string;
  waf_us?: number;
  waf_timeout?: boolean;
}

export interface InspectReport {
  /** As the daemon reports to HAProxy: `partial` if nothing was found but not everything was inspected. */
  readonly verdict: Verdict['kind'] | 'partial';
  /** What the client would get instead of the page. */
  readonly answer?: {
    readonly status: number;
    readonly headers: readonly (readonly [string, string])[];
    readonly body: string;
  };
  readonly request: { readonly method: string; readonly host: string | undefined; readonly target: string };
  readonly client_ip: string | undefined;
  readonly rule_ids: readonly string[];
  readonly matches: readonly Match[];
  readonly inspected: readonly Inspected[];
  /** For people: what was not inspected, and what the daemon would do differently. */
  readonly notes: readonly string[];
}

/** Collects what the engine reports about its one transaction. */
export class InspectObserver implements TransactionObserver {
  readonly matches: Match[] = [];
  readonly inspected: Inspected[] = [];

  readonly bodyRead: NonNullable<TransactionObserver['bodyRead']> = (_transaction, phase, body) => {
    const entry = this.#entry(phase);
    entry.format = body.format;
    if (body.partial) entry.partial = true;
    if (body.malformed !== undefined) entry.malformed = body.malformed;
  };

  readonly wafRan: NonNullable<TransactionObserver['wafRan']> = (_transaction, phase, result) => {
    const entry = this.#entry(phase);
    entry.waf_us = Math.round(result.durationUs);
    if (result.truncated) entry.partial = true;
    if (result.timeout) entry.waf_timeout = true;
  };

  readonly detected: NonNullable<TransactionObserver['detected']> = (_transaction, phase, events) => {
    for (const event of events) this.matches.push(...matchesOf(phase, event));
  };

  #entry(phase: Phase): Inspected {
    const known = this.inspected.find((entry) => entry.phase === phase);
    if (known !== undefined) return known;
    const entry: Inspected = { phase, partial: false };
    this.inspected.push(entry);
    return entry;
  }
}

/** An engine for one transaction. */
export function createInspectEngine(config: Config, waf: Waf, observer: InspectObserver): Engine {
  return new Engine({
    waf,
    wafTimeoutUs: config.wafTimeoutUs,
    bodyLimitBytes: config.bodyLimitBytes,
    maxDecompressedBytes: config.maxDecompressedBytes,
    clientIpHeader: config.clientIpHeader,
    maxLiveTransactions: 1,
    observers: [observer],
  });
}

/** Nothing of it is shown. */
const inspectedAsIfByHaproxy: DoorTraits = {
  name: 'inspect',
  component: 'inspect',
  defaultService: 'inspect',
  reportOnly: false,
  seesResponses: true,
};

/** Long enough for one transaction. */
const timeToLiveMs = 60_000;

/**
 * Asks the engine as HAProxy would: each message only when it is wanted and nothing was blocked before.
 * @param observer one of the engine's own observers.
 */
export async function inspect(
  engine: Engine,
  observer: InspectObserver,
  request: GivenRequest,
  response: GivenResponse | undefined,
  pages: BlockPages = new BlockPages(),
): Promise<InspectReport> {
  const run = new InspectRun(engine.through(inspectedAsIfByHaproxy), observer);
  const ofRequest = await run.request(request);
  const analysis = response === undefined ? ofRequest : await run.response(ofRequest, response);
  engine.drain();
  run.noteTimeouts();
  const { transaction, verdict } = analysis;
  return {
    verdict: verdict.kind === 'pass' && transaction.partial ? 'partial' : verdict.kind,
    ...answerOf(verdict, pages),
    request: {
      method: request.head.method,
      host: headerValue(request.head.headers, 'host'),
      target: request.head.target,
    },
    client_ip: ofRequest.transaction.clientIp,
    rule_ids: [...transaction.ruleIds],
    matches: observer.matches,
    inspected: observer.inspected,
    notes: run.notes,
  };
}

/** The messages of one transaction, in their order, and what there is to say about those that are not sent. */
class InspectRun {
  readonly notes: string[] = [];
  readonly #inspector: Inspector;
  readonly #observer: InspectObserver;

  constructor(inspector: Inspector, observer: InspectObserver) {
    this.#inspector = inspector;
    this.#observer = observer;
  }

  async request({ head, body }: GivenRequest): Promise<InspectedMessage> {
    const analysis = inspectedOf(this.#inspector.requestHeaders(head, timeToLiveMs));
    if (body.length === 0) return analysis;
    if (isBlocking(analysis.verdict)) {
      this.notes.push('The request body was not inspected: the request had already been blocked.');
    } else if (!analysis.wantsBody) {
      this.notes.push(
        'The request body was not inspected: no rule reads bodies, or bodies of this type are not requested.',
      );
    } else {
      const chunk = { bytes: body, declaredSize: declaredSize(head.headers, body) };
      const { id } = analysis.transaction;
      const ofBody = inspectedOf(await this.#inspector.requestBody(id, chunk, timeToLiveMs));
      this.#noteSize('request-body', body);
      return ofBody;
    }
    return analysis;
  }

  /** @param before what the request led to. */
  async response(before: InspectedMessage, { head, body }: GivenResponse): Promise<InspectedMessage> {
    if (isBlocking(before.verdict)) {
      this.notes.push('The response was not inspected: the request had already been blocked.');
      return before;
    }
    const { id } = before.transaction;
    const analysis = inspectedOf(this.#inspector.responseHeaders(id, head, timeToLiveMs));
    if (body.length === 0 || isBlocking(analysis.verdict)) return analysis;
    if (!analysis.wantsBody) {
      this.notes.push(
        'The response body was not inspected: only JSON is requested, and only when a rule reads response bodies.',
      );
      return analysis;
    }
    const chunk = { bytes: body, declaredSize: declaredSize(head.headers, body) };
    const ofBody = inspectedOf(await this.#inspector.responseBody(id, chunk, timeToLiveMs));
    this.#noteSize('response-body', body);
    return ofBody;
  }

  noteTimeouts(): void {
    for (const { phase, waf_timeout: ranOut } of this.#observer.inspected) {
      if (ranOut)
        this.notes.push(`${phase}: the WAF timed out before it had tried every rule; see --waf-timeout.`);
    }
  }

  #noteSize(phase: Phase, body: Uint8Array): void {
    for (const entry of this.#observer.inspected) if (entry.phase === phase) entry.bytes = body.length;
  }
}

/** The engine of this command is on, and puts nothing off. */
function inspectedOf(analysis: Analysis): InspectedMessage {
  if (analysis.kind !== 'inspected') throw new Error(`the message was not analysed: ${analysis.kind}`);
  return analysis;
}

function answerOf(verdict: Verdict, pages: BlockPages): Pick<InspectReport, 'answer'> {
  if (!isBlocking(verdict)) return {};
  const { status, headers, body } = pages.render(verdict);
  return { answer: { status, headers, body: body.toString() } };
}

function matchesOf(phase: Phase, event: WafEvent): Match[] {
  const { id, name, tags } = event.rule;
  return event.rule_matches.flatMap((match) =>
    match.parameters.map((parameter) => ({
      phase,
      rule_id: id,
      rule_name: name,
      type: tags['type'],
      category: tags['category'],
      confidence: tags['confidence'],
      operator: match.operator,
      address: parameter.address,
      key_path: (parameter.key_path ?? []).map(String),
      value: parameter.value,
      highlight: parameter.highlight ?? [],
    })),
  );
}
