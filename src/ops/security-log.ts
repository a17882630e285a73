import { isBlocking } from '../engine/analysis.ts';
import { headerValue } from '../engine/http.ts';
import type { QueryObfuscator } from '../engine/query-obfuscator.ts';
import type { TransactionObserver } from '../engine/transaction-view.ts';
import { type Logger, throttled } from './log.ts';

const rateLimitNoticeMs = 10_000;

/** One line for each message in which rules matched. Values are libddwaf's, with secrets already redacted. */
export function securityLog(logger: Logger, obfuscator: QueryObfuscator): TransactionObserver {
  const noticeRateLimit = throttled(rateLimitNoticeMs, (heldBack) =>
    logger.warn(
      { event: 'rate-limited', more: heldBack },
      'detections exceed DD_APPSEC_TRACE_RATE_LIMIT: further ones are counted but not reported',
    ),
  );
  return {
    detected(transaction, phase, events, verdict, reported) {
      if (!reported) {
        noticeRateLimit();
        return;
      }
      const { request } = transaction;
      logger.warn(
        {
          event: 'security',
          door: transaction.door.name,
          phase,
          verdict: verdict.kind,
          rules: events.map((event) => ({
            id: event.rule.id,
            name: event.rule.name,
            type: event.rule.tags['type'],
            matches: event.rule_matches.flatMap((match) =>
              match.parameters.map((parameter) => ({
                address: parameter.address,
                key_path: parameter.key_path,
                highlight: parameter.highlight,
              })),
            ),
          })),
          service: transaction.application?.service,
          would_block: transaction.wouldBlock ? true : undefined,
          client: transaction.clientIp,
          method: request?.method,
          host: request === undefined ? undefined : headerValue(request.headers, 'host'),
          path: request === undefined ? undefined : obfuscator.obfuscate(request.target),
          status: transaction.response?.status,
          ...(transaction.partial ? { partial: true } : {}),
          trace_id: transaction.traceId,
          span_id: transaction.id,
          ...(isBlocking(verdict) ? { security_response_id: verdict.securityResponseId } : {}),
        },
        verdict.kind === 'report' ? 'attack reported' : 'attack blocked',
      );
    },
  };
}
