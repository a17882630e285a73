import type { CallTrouble, GrpcServerObserver } from '../../grpc/index.ts';
import { handshakeReason } from '../../net/tls.ts';
import type { DoorMetrics } from '../../ops/door-metrics.ts';
import { type Logger, throttled } from '../../ops/log.ts';
import type { SkipReason } from './contract.ts';
import type { HandlerObserver } from './process-handler.ts';
import { extProcSettings } from './settings.ts';
import type { ProcessObserver } from './stream-host.ts';

/** Troubles of a stream are counted with this before their name. */
const streamErrorKinds = [
  'stream-busy',
  'stream-too-large',
  'stream-memory',
  'stream-compressed',
  'stream-malformed',
  'stream-silent',
  'stream-failed',
] as const satisfies readonly `stream-${CallTrouble}`[];

/** Errors of this door by their label `kind`; docs/errors.md says what to do about each. */
export const extProcErrorKinds = [
  'tls',
  'protocol',
  'unknown-message',
  'out-of-order',
  'malformed-message',
  ...streamErrorKinds,
] as const;

type ErrorKind = (typeof extProcErrorKinds)[number] | 'internal';

function countError(metrics: DoorMetrics, kind: ErrorKind): void {
  metrics.error<ErrorKind>(kind);
}

/** A message that repeats with every request is said once in so long, with the number held back. */
const repeatIntervalMs = 10_000;

/** So many bodies were asked for, and none ever came: it is no accident any more. */
const askedInVain = 3;

/** Sockets and calls to metrics and log. */
export function observeServer(logger: Logger, metrics: DoorMetrics): GrpcServerObserver {
  let last: object = {};
  const warning = (message: string): ((details: object) => void) => {
    const warn = throttled(repeatIntervalMs, (more) => logger.warn({ ...last, more }, message));
    return (details) => {
      last = details;
      warn();
    };
  };
  const { extProcMaxConnections, extProcAllowed, extProcMaxMessageBytes } = extProcSettings;
  const warnOfLimit = warning(`connection refused: ${extProcMaxConnections.env} reached`);
  const warnOfStranger = warning(`connection refused: address is not in ${extProcAllowed.env}`);
  const warnOfHandshake = warning('connection closed: TLS handshake failed');
  const warnOfProtocol = warning('connection closed: not HTTP/2, or a flood');
  const warnOfTrouble = warning(
    `stream ended, request let through uninspected: see docs/errors.md (too-large: raise ${extProcMaxMessageBytes.env})`,
  );
  return {
    connected: () => metrics.connectionAccepted(),
    refused(reason, address) {
      metrics.connectionRefused(reason);
      if (reason === 'limit') warnOfLimit({ address });
      else warnOfStranger({ address });
    },
    handshakeFailed(cause, address) {
      countError(metrics, 'tls');
      warnOfHandshake({ address, reason: handshakeReason(cause) });
    },
    protocolError(cause, address) {
      countError(metrics, 'protocol');
      warnOfProtocol({ address, reason: cause.message });
    },
    socketError: (cause) => logger.debug({ err: cause }, 'socket error'),
    timedOut: (which, address) => logger.debug({ which, address }, 'connection timed out'),
    callTroubled(_path, trouble, detail) {
      countError(metrics, `stream-${trouble}`);
      warnOfTrouble({ trouble, detail });
    },
    methodFailed(_path, cause) {
      countError(metrics, 'internal');
      logger.error({ err: cause }, 'a stream failed, request let through uninspected: please report this');
    },
  };
}

/** Streams to metrics and log. */
export function observeStreams(logger: Logger, metrics: DoorMetrics): ProcessObserver {
  const skipped = observeSkips(logger, metrics);
  const warnOfUnknown = throttled(repeatIntervalMs, (more) =>
    logger.warn(
      { more },
      'a message from Envoy has no known content: stream ended, request let through uninspected',
    ),
  );
  return {
    skipped,
    unknownMessage() {
      countError(metrics, 'unknown-message');
      warnOfUnknown();
    },
    disorder(kind) {
      countError(metrics, 'out-of-order');
      logger.debug({ message: kind }, 'a message was out of order and was let through');
    },
  };
}

function observeSkips(logger: Logger, metrics: DoorMetrics): (reason: SkipReason) => void {
  const reasons = new Set<SkipReason>();
  const warn = throttled(repeatIntervalMs, (more) => {
    logger.warn(
      { reasons: [...reasons], more },
      'messages let through uninspected: more traffic than this process can inspect in time, see docs/performance.md',
    );
    reasons.clear();
  });
  return (reason) => {
    metrics.skipped(reason);
    reasons.add(reason);
    warn();
  };
}

/** Messages to metrics and log. */
export function observeHandler(logger: Logger, metrics: DoorMetrics): HandlerObserver {
  const late = observeSkips(logger, metrics);
  let lastFailure: unknown;
  let lastKind = '';
  const logFailure = throttled(1000, (more) =>
    logger.error(
      { err: lastFailure, message: lastKind, more },
      'a message could not be inspected and was let through: please report this',
    ),
  );
  let lastProblem = '';
  const logMalformed = throttled(repeatIntervalMs, (more) =>
    logger.warn({ more }, `malformed message, inspected up to the error: ${lastProblem}`),
  );
  let inVain = 0;
  return {
    message: (kind) => metrics.message(kind),
    failed(kind, cause) {
      countError(metrics, 'internal');
      lastFailure = cause;
      lastKind = kind;
      logFailure();
    },
    malformed(kind, cause) {
      countError(metrics, 'malformed-message');
      lastProblem = `${kind}: ${cause.message}`;
      logMalformed();
    },
    late: () => late('overload'),
    bodyAskedFor(came) {
      // Once one has come, others are missing for reasons of their own.
      inVain = came ? Number.NEGATIVE_INFINITY : inVain + 1;
      if (inVain === askedInVain)
        logger.warn(
          "request bodies are requested but never arrive: set `allow_mode_override: true` in Envoy's ext_proc filter, see docs/envoy.md",
        );
    },
  };
}
