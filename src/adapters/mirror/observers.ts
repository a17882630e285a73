import type { DoorMetrics } from '../../ops/door-metrics.ts';
import { type Logger, throttled } from '../../ops/log.ts';
import type { ArrivalObserver } from './arrival.ts';
import type { BacklogObserver, LostReason } from './backlog.ts';
import { messageName } from './messages.ts';
import type { MirrorServerObserver } from './server.ts';

/** A message that repeats with every request is said once in so long, with the number held back. */
const repeatIntervalMs = 10_000;

/** Loss goes on for as long as there is too much: a line a minute says that it does. */
const lossIntervalMs = 60_000;

/** What the handler tells of its work. Must not throw. */
export interface HandlerObserver {
  message(): void;
  /** Contained. */
  failed(cause: unknown): void;
}

/** Copies in an engine, to metrics and log. */
export function observeHandler(logger: Logger, metrics: DoorMetrics): HandlerObserver {
  return {
    message: () => metrics.message(messageName),
    failed: failures(logger, metrics),
  };
}

/** What goes unseen, to metrics and log. */
export function observeBacklog(logger: Logger, metrics: DoorMetrics): BacklogObserver {
  const reasons = new Set<LostReason>();
  const warn = throttled(lossIntervalMs, (more) => {
    logger.warn(
      { reasons: [...reasons], more },
      'mirrored requests go unseen: there are more than this agent can analyse, see docs/mirror.md',
    );
    reasons.clear();
  });
  return {
    unseen(reason) {
      metrics.skipped(reason);
      reasons.add(reason);
      warn();
    },
  };
}

/** Requests as they arrive, to metrics and log. */
export function observeArrivals(logger: Logger, metrics: DoorMetrics): ArrivalObserver {
  const arrived = metrics.counter('mirrored_requests_total', 'Mirrored requests that arrived.');
  const cut = metrics.counter(
    'mirrored_bodies_cut_total',
    'Bodies of mirrored requests that were not kept whole, or did not come whole, by reason.',
    ['reason'],
  );
  const warnOfMemory = throttled(lossIntervalMs, (more) =>
    logger.warn(
      { more },
      'bodies of mirrored requests are analysed in part: more of them arrive at once than DD_REQUEST_MIRROR_BACKLOG_SIZE has room for',
    ),
  );
  return {
    arrived: () => arrived.inc(),
    bodyCut(reason) {
      cut.inc({ reason });
      if (reason === 'memory') warnOfMemory();
    },
  };
}

/** Sockets to metrics and log. */
export function observeServer(logger: Logger, metrics: DoorMetrics): MirrorServerObserver {
  const warnOfLimit = throttled(repeatIntervalMs, (more) =>
    logger.warn({ more }, 'connection refused: DD_REQUEST_MIRROR_MAX_CONNECTIONS reached'),
  );
  let last: object = {};
  const warnOfStranger = throttled(repeatIntervalMs, (more) =>
    logger.warn({ ...last, more }, 'connection refused: its address is not in DD_REQUEST_MIRROR_ALLOW'),
  );
  const warnOfHandshake = throttled(repeatIntervalMs, (more) =>
    logger.warn({ ...last, more }, 'connection of a sender closed: TLS handshake failed'),
  );
  const warnOfRefusal = throttled(repeatIntervalMs, (more) =>
    logger.warn({ ...last, more }, 'connection closed: what came is no HTTP that can be read to its end'),
  );
  const warnOfStall = throttled(repeatIntervalMs, (more) =>
    logger.warn({ more }, 'a mirrored request stopped arriving: it was analysed as far as it came'),
  );
  return {
    connected: () => metrics.connectionAccepted(),
    refusedConnection(reason, address) {
      metrics.connectionRefused(reason);
      last = { address };
      if (reason === 'limit') warnOfLimit();
      else warnOfStranger();
    },
    handshakeFailed(cause, address) {
      metrics.error('tls');
      last = { address, reason: 'code' in cause ? cause.code : cause.message };
      warnOfHandshake();
    },
    refused(status, problem) {
      metrics.error('protocol');
      last = { status, problem };
      warnOfRefusal();
    },
    stalled: () => warnOfStall(),
    socketError: (cause) => logger.debug({ err: cause }, 'socket error'),
    failed: failures(logger, metrics),
  };
}

function failures(logger: Logger, metrics: DoorMetrics): (cause: unknown) => void {
  let last: unknown;
  const write = throttled(1000, (more) =>
    logger.error({ err: last, more }, 'a mirrored request could not be analysed: please report this'),
  );
  return (cause) => {
    metrics.error('internal');
    last = cause;
    write();
  };
}
