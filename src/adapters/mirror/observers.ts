import { type Logger, throttled } from '../../ops/log.ts';
import type { Metrics } from '../../ops/metrics.ts';
import type { ArrivalObserver, CutReason } from './arrival.ts';
import type { BacklogObserver, LostReason } from './backlog.ts';
import type { MirrorServerObserver } from './server.ts';

/** A message that repeats with every request is said once in so long, with the number held back. */
const repeatIntervalMs = 10_000;

/** Loss goes on for as long as there is too much: a line a minute says that it does. */
const lossIntervalMs = 60_000;

/** What the handler tells of its work. Must not throw. */
export interface HandlerObserver {
  message(): void;
  /** It came out of the backlog too late to be analysed. */
  tooLate(): void;
  /** Contained. */
  failed(cause: unknown): void;
}

/** Copies in an engine, to metrics and log. */
export function observeHandler(logger: Logger, metrics: Metrics): HandlerObserver {
  const { unseen } = observeBacklog(logger, metrics);
  const reportFailed = failures(logger, metrics);
  return {
    message: () => metrics.messages.inc({ message: 'mirrored-request' }),
    tooLate: () => unseen('too-old'),
    failed: reportFailed,
  };
}

/** What goes unseen, to metrics and log. */
export function observeBacklog(logger: Logger, metrics: Metrics): BacklogObserver {
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
      metrics.skipped.inc({ reason });
      reasons.add(reason);
      warn();
    },
  };
}

/** Requests as they arrive, to metrics and log. */
export function observeArrivals(logger: Logger, metrics: Metrics): ArrivalObserver {
  const counted = { arrived: 0 };
  metrics.countedElsewhere(
    'mirrored_requests_total',
    'Mirrored requests that arrived.',
    () => counted.arrived,
  );
  const cuts: Record<CutReason, number> = { 'too-large': 0, memory: 0, 'cut-off': 0 };
  metrics.countedElsewhere(
    'mirrored_bodies_cut_total',
    'Bodies of mirrored requests that were not kept whole, or did not come whole.',
    () => cuts['too-large'] + cuts.memory + cuts['cut-off'],
  );
  const warnOfMemory = throttled(lossIntervalMs, (more) =>
    logger.warn(
      { more },
      'bodies of mirrored requests are analysed in part: more of them arrive at once than DD_REQUEST_MIRROR_BACKLOG_SIZE has room for',
    ),
  );
  return {
    arrived() {
      counted.arrived += 1;
    },
    bodyCut(reason) {
      cuts[reason] += 1;
      if (reason === 'memory') warnOfMemory();
    },
  };
}

/** Sockets to metrics and log. */
export function observeServer(logger: Logger, metrics: Metrics): MirrorServerObserver {
  const counted = { opened: 0, refused: 0 };
  metrics.countedElsewhere(
    'mirror_connections_total',
    'Connections of senders of mirrored requests.',
    () => counted.opened,
  );
  metrics.countedElsewhere(
    'mirror_connections_refused_total',
    'Connections of senders that were refused: too many, or an address that is not allowed.',
    () => counted.refused,
  );
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
    connected() {
      counted.opened += 1;
    },
    refusedConnection(reason, address) {
      counted.refused += 1;
      last = { address };
      if (reason === 'limit') warnOfLimit();
      else warnOfStranger();
    },
    handshakeFailed(cause, address) {
      metrics.errors.inc({ kind: 'tls' });
      last = { address, reason: 'code' in cause ? cause.code : cause.message };
      warnOfHandshake();
    },
    refused(status, problem) {
      metrics.errors.inc({ kind: 'protocol' });
      last = { status, problem };
      warnOfRefusal();
    },
    stalled: () => warnOfStall(),
    socketError: (cause) => logger.debug({ err: cause }, 'socket error'),
    failed: failures(logger, metrics),
  };
}

function failures(logger: Logger, metrics: Metrics): (cause: unknown) => void {
  let last: unknown;
  const write = throttled(1000, (more) =>
    logger.error({ err: last, more }, 'a mirrored request could not be analysed: please report this'),
  );
  return (cause) => {
    metrics.errors.inc({ kind: 'internal' });
    last = cause;
    write();
  };
}
