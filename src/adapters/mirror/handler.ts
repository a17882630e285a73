import { isUtf8 } from 'node:buffer';
import type { HandlerServices } from '../../daemon/door.ts';
import type { Analysis } from '../../engine/analysis.ts';
import type { HeaderList, RequestHead } from '../../engine/http.ts';
import type { Inspector } from '../../engine/inspector.ts';
import { type Field, parseFields, parseRequestHead } from '../../http1/index.ts';
import { type AllowList, parseAllowList } from '../../net/allow-list.ts';
import type { HandedJob, JobHandler } from '../../workers/jobs.ts';
import { Applications } from './applications.ts';
import { type Copy, readCopy } from './copy.ts';
import { type HandlerObserver, observeHandler } from './observers.ts';
import {
  type CopiedHead,
  type Original,
  originalOf,
  type SenderSetting,
  senderOf,
  untrustedOriginal,
} from './sender.ts';
import type { MirrorDoorConfig } from './settings.ts';

/** What the handler needs of the configuration. */
export interface MirrorRules {
  readonly sender: SenderSetting;
  /** Undefined: every sender's fields are believed. */
  readonly trusted: AllowList | undefined;
  readonly applications: Applications;
  /** DD_TRACE_CLIENT_IP_HEADER is set: the engine reads it, and nobody else vouches for a client. */
  readonly clientIpHeaderIsSet: boolean;
  readonly timeToLiveMs: number;
}

/** Nobody waits for more than to know that it is done. */
const done = new Uint8Array(0);

/** What an engine does with copies: request headers, then the body, then it is over. */
export class CopyJobs implements JobHandler {
  readonly #inspector: Inspector;
  readonly #rules: MirrorRules;
  readonly #observer: HandlerObserver;

  constructor(inspector: Inspector, rules: MirrorRules, observer: HandlerObserver) {
    this.#inspector = inspector;
    this.#rules = rules;
    this.#observer = observer;
  }

  get liveTransactions(): number {
    return this.#inspector.liveTransactions;
  }

  /** The deadline is about who gets a copy: one that an engine has is analysed. */
  handle({ payload }: HandedJob, answer: (bytes: Uint8Array) => void): void {
    try {
      const analysis = this.#analyse(readCopy(payload));
      if (analysis instanceof Promise) {
        analysis.catch((cause: unknown) => this.#observer.failed(cause)).finally(() => answer(done));
        return;
      }
    } catch (cause) {
      this.#observer.failed(cause);
    }
    answer(done);
  }

  /** Copies are never let through: the traffic has gone by. */
  skipped(): void {}

  workOnBacklog(): boolean {
    return this.#inspector.workOnBacklog();
  }

  #analyse(copy: Copy): Analysis | Promise<Analysis> {
    this.#observer.message();
    const { timeToLiveMs } = this.#rules;
    const request = requestOf(copy, this.#rules);
    const analysis = this.#inspector.requestHeaders(request, timeToLiveMs);
    if (analysis.kind === 'uninspected' || !analysis.wantsBody) return analysis;
    const { id } = analysis.transaction;
    const chunk = { bytes: copy.body, declaredSize: copy.bodySize || undefined };
    try {
      const body = this.#inspector.requestBody(id, chunk, timeToLiveMs);
      return body instanceof Promise ? body.catch((cause: unknown) => this.#failed(id, cause)) : body;
    } catch (cause) {
      return this.#failed(id, cause);
    }
  }

  /** What was found in the headers is still reported. */
  #failed(id: string, cause: unknown): never {
    this.#inspector.failed(id);
    this.#inspector.end(id, 'complete');
    throw cause;
  }
}

/** A copy as the engine sees it. */
export function requestOf(copy: Copy, rules: MirrorRules): RequestHead {
  const { method, target, fields } = parseRequestHead(copy.head);
  const copied: CopiedHead = {
    wire: copy.wire,
    rawHostName: fields.find(([name]) => name.toLowerCase() === 'host')?.[0],
    headers: headersOf(fields),
  };
  const { peerAddress, peerPort, tls } = copy;
  const isTrusted = rules.trusted === undefined || peerAddress === undefined || rules.trusted(peerAddress);
  const original = isTrusted
    ? originalOf(senderOf(rules.sender, copied), copied, tls)
    : untrustedOriginal(copied, tls, peerAddress);
  const service = rules.applications.serviceOf(original.headers, copy.listener, isTrusted);
  return {
    method: textOf(method),
    target: textOf(target),
    headers: [...original.headers, ...trailersOf(copy)],
    peerAddress,
    peerPort,
    https: original.https,
    declaredBodySize: copy.bodySize || undefined,
    endOfStream: copy.bodySize === 0,
    application:
      service === undefined
        ? undefined
        : { service, environment: undefined, version: undefined, reportOnly: true },
    ...clientOf(original, isTrusted && rules.clientIpHeaderIsSet),
  };
}

function clientOf({ clientIp }: Original, engineDecides: boolean): Pick<RequestHead, 'clientIp'> {
  return clientIp === undefined || engineDecides ? {} : { clientIp };
}

/**
 * Fields behind the body are inspected with the others, under names of their own: what says who the client is, or what
 * the body is, stands before it.
 */
function trailersOf({ trailers }: Copy): HeaderList {
  if (trailers.length === 0) return [];
  return headersOf(parseFields(trailers.toString('latin1'))).map(([name, value]) => [
    `trailer-${name}`,
    value,
  ]);
}

function headersOf(fields: readonly Field[]): HeaderList {
  return fields.map(([name, value]) => [textOf(name).toLowerCase(), textOf(value)]);
}

/** UTF-8 where it is, else one character a byte, as for every door. */
function textOf(latin1: string): string {
  if (!/[\x80-\xff]/.test(latin1)) return latin1;
  const bytes = Buffer.from(latin1, 'latin1');
  return isUtf8(bytes) ? bytes.toString('utf8') : latin1;
}

/** The engine side of the door. */
export function createHandler(
  config: MirrorDoorConfig,
  { inspector, logger, metrics, transactionTimeoutMs }: HandlerServices,
): JobHandler {
  const rules: MirrorRules = {
    sender: config.mirrorSender,
    trusted: config.mirrorTrusted && parseAllowList(config.mirrorTrusted),
    applications: new Applications({
      field: config.mirrorServiceField,
      hosts: config.mirrorHosts ?? [],
      listeners: config.mirrorListen.map(({ service }) => service),
    }),
    clientIpHeaderIsSet: config.clientIpHeader !== undefined,
    timeToLiveMs: transactionTimeoutMs,
  };
  return new CopyJobs(inspector, rules, observeHandler(logger, metrics));
}
