import type { Inspected } from '../../engine/analysis.ts';
import type { BlockPages } from '../../engine/block-page.ts';
import type { TransactionView } from '../../engine/transaction-view.ts';
import type { BlockVerdict, RedirectVerdict } from '../../engine/verdict.ts';
import { dynamicKeys, metadataNamespace } from './contract.ts';
import { type DynamicMetadata, encodeImmediate } from './wire/processing-response.ts';

/*
 * Verdicts as Envoy takes them: an ImmediateResponse, and texts for access logs and other filters.
 */

/** Ids of rules in one line of a log. */
const maxRuleIdsLength = 512;

/** gRPC's own name for it; Envoy makes the same of 403. */
const permissionDenied = 7;

/** What the client gets instead. A gRPC client gets a status and a sentence: nobody there reads pages. */
export function renderBlock(
  verdict: BlockVerdict | RedirectVerdict,
  transaction: TransactionView,
  pages: BlockPages,
  isGrpc: boolean,
): Buffer {
  const details = `appsec_blocked{${ruleIdsOf(transaction)}}`;
  const dynamicMetadata = dynamicMetadataOf(transaction, verdict.kind, verdict.securityResponseId);
  if (isGrpc) {
    const body = Buffer.from(`Request blocked. Security response id: ${verdict.securityResponseId}`);
    const status = verdict.kind === 'block' ? verdict.status : 403;
    const answer = { status, headers: [], body, grpcStatus: permissionDenied };
    return encodeImmediate({ ...answer, details, dynamicMetadata });
  }
  const page = pages.render(verdict, undefined, transaction.application?.service);
  const { status, headers, body } = page;
  return encodeImmediate({ status, headers, body, grpcStatus: undefined, details, dynamicMetadata });
}

/** What a log says of a transaction that goes on. */
export function passMetadata({ verdict, transaction }: Inspected): DynamicMetadata {
  return dynamicMetadataOf(
    transaction,
    verdict.kind === 'pass' ? unseenOr('pass', transaction) : verdict.kind,
  );
}

function dynamicMetadataOf(
  transaction: TransactionView,
  verdict: string,
  securityResponseId?: string,
): DynamicMetadata {
  const ruleIds = ruleIdsOf(transaction);
  const texts: Record<string, string> = {
    [dynamicKeys.verdict]: verdict,
    [dynamicKeys.traceId]: transaction.traceId,
  };
  if (ruleIds !== '') texts[dynamicKeys.ruleIds] = ruleIds;
  if (securityResponseId !== undefined) texts[dynamicKeys.securityResponseId] = securityResponseId;
  return { namespace: metadataNamespace, texts };
}

/** Nothing found is a pass only where everything was looked at. */
function unseenOr(verdict: string, { coverage }: TransactionView): string {
  return coverage === 'whole' ? verdict : coverage;
}

/** Whole ids, separated by commas; `...` stands for those that are too many. */
function ruleIdsOf({ ruleIds }: TransactionView): string {
  const whole = ruleIds.join(',');
  if (whole.length <= maxRuleIdsLength) return whole;
  const cut = whole.lastIndexOf(',', maxRuleIdsLength - 4);
  return `${whole.slice(0, Math.max(0, cut))},...`;
}
