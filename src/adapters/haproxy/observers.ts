import { handshakeReason } from '../../net/tls.ts';
import type { DoorMetrics } from '../../ops/door-metrics.ts';
import { type Logger, throttled } from '../../ops/log.ts';
import type { SkipReason } from './contract.ts';
import type { MessageObserver } from './notify-observer.ts';
import type { PeerObserver } from './peers/observer.ts';
import type { RouterObserver } from './router.ts';
import type { ServerObserver } from './server-observer.ts';
import type { SkipObserver } from './skip-observer.ts';

/** A line that would repeat with every request is written once per interval, with the number of lines held back. */
const repeatIntervalMs = 10_000;

/** Kinds of errors of this door, as metrics name them; docs/errors.md says what to do about each. */
export const haproxyErrorKinds = [
  'tls',
  'protocol',
  'truncated-frame',
  'unknown-message',
  'malformed-argument',
  'block-page-too-large',
  'variables-dropped',
] as const;

type ErrorKind = (typeof haproxyErrorKinds)[number] | 'internal';

function countError(metrics: DoorMetrics, kind: ErrorKind): void {
  metrics.error<ErrorKind>(kind);
}

/**
 * Sockets and frames to metrics and log.
 * @param peerConnected called for every other agent that connects
 */
export function observeServer(
  logger: Logger,
  metrics: DoorMetrics,
  peerConnected: (instance: string) => void,
): ServerObserver {
  return {
    ...observeConnections(logger, metrics),
    hello(maxFrameSize, engineId, peer) {
      if (peer === undefined) logger.debug({ maxFrameSize, engineId }, 'HAProxy connected');
      else {
        logger.debug({ maxFrameSize, peer }, 'a peer connected');
        peerConnected(peer);
      }
    },
    disconnected: (status, message) => logger.debug({ status, message }, 'HAProxy disconnected'),
    protocolError(error) {
      countError(metrics, 'protocol');
      logger.warn({ code: error.code, status: error.status }, `connection closed: ${error.message}`);
    },
    truncatedFrame(pendingBytes) {
      countError(metrics, 'truncated-frame');
      logger.debug({ pendingBytes }, 'connection ended in the middle of a frame');
    },
    timedOut: (which) => logger.debug({ which }, 'connection timed out'),
    socketError: (cause) => logger.debug({ err: cause }, 'socket error'),
    frameFailed: (cause) => reportFailedFrame(logger, metrics, cause),
  };
}

/** Connections that are accepted or not. */
function observeConnections(
  logger: Logger,
  metrics: DoorMetrics,
): Pick<ServerObserver, 'connected' | 'refused' | 'handshakeFailed'> {
  const connections = metrics.counter('spop_connections_total', 'SPOP connections accepted.');
  const refusals = metrics.counter('spop_connections_refused_total', 'SPOP connections refused, by reason.', [
    'reason',
  ]);
  const warnOfLimit = throttled(repeatIntervalMs, (more) =>
    logger.warn({ more }, 'connection refused: DD_HAPROXY_SPOA_MAX_CONNECTIONS reached'),
  );
  let refusedAddress: string | undefined;
  const warnOfAddress = throttled(repeatIntervalMs, (more) =>
    logger.warn(
      { address: refusedAddress, more },
      'connection refused: address is not in DD_HAPROXY_SPOA_ALLOW',
    ),
  );
  let failed: { readonly address: string | undefined; readonly reason: string } | undefined;
  const warnOfHandshake = throttled(repeatIntervalMs, (more) =>
    logger.warn({ ...failed, more }, 'connection closed: TLS handshake failed'),
  );
  return {
    connected() {
      metrics.connectionAccepted();
      connections.inc();
    },
    refused(reason, address) {
      metrics.connectionRefused(reason);
      refusals.inc({ reason });
      if (reason === 'limit') {
        warnOfLimit();
      } else {
        refusedAddress = address;
        warnOfAddress();
      }
    },
    handshakeFailed(cause, address) {
      countError(metrics, 'tls');
      failed = { address, reason: handshakeReason(cause) };
      warnOfHandshake();
    },
  };
}

/** Messages that were let through uninspected, to metrics and log. */
export function observeSkips(logger: Logger, metrics: DoorMetrics): SkipObserver {
  const reasons = new Set<SkipReason>();
  const warn = throttled(repeatIntervalMs, (more) => {
    logger.warn(
      { reasons: [...reasons], more },
      'messages let through uninspected: more traffic than can be inspected in time, see docs/performance.md',
    );
    reasons.clear();
  });
  return {
    skipped(reason) {
      metrics.skipped(reason);
      reasons.add(reason);
      warn();
    },
    frameFailed: (cause) => reportFailedFrame(logger, metrics, cause),
  };
}

/** Messages between agents, to metrics and log. */
export function observeRouter(logger: Logger, metrics: DoorMetrics): RouterObserver {
  const { skipped } = observeSkips(logger, metrics);
  const relayed = metrics.counter(
    'relayed_total',
    'Messages whose transaction lives in another agent, by result.',
    ['result'],
  );
  return {
    skipped,
    relayed: (answered) => relayed.inc({ result: answered ? 'answered' : 'analysed-here' }),
  };
}

/** Links to peers, to the log: what an operator has to know when messages are not forwarded. */
export function observePeers(logger: Logger): PeerObserver {
  return {
    linked: (address, peer) => logger.info({ address, peer }, 'linked to a peer'),
    unlinked: (address, peer, why, detail) =>
      logger.warn({ address, peer, why, detail }, 'link to a peer ended; reconnecting'),
    notLinked: (address, why, detail) =>
      logger.warn(
        { address, why, detail },
        'no link to a peer: responses that belong to it are inspected without their request',
      ),
    notResolved: (host, cause) =>
      logger.warn({ host, err: cause }, 'a name in DD_HAPROXY_SPOA_PEERS cannot be resolved'),
  };
}

function reportFailedFrame(logger: Logger, metrics: DoorMetrics, cause: unknown): void {
  countError(metrics, 'internal');
  logger.error({ err: cause }, 'a frame could not be inspected and was let through: please report this');
}

/** Messages to metrics and log. */
export function observeHandler(logger: Logger, metrics: DoorMetrics): MessageObserver {
  const once = new Set<string>();
  const warnOnce = (key: string, details: object, message: string): void => {
    if (once.has(key) || once.size >= 100) return;
    once.add(key);
    logger.warn(details, message);
  };
  let lastFailure: unknown;
  let lastMessage = '';
  const logFailure = throttled(1000, (more) =>
    logger.error(
      { err: lastFailure, spoe_message: lastMessage, more },
      'a message could not be inspected and was let through: please report this',
    ),
  );
  return {
    message: (name) => metrics.message(name),
    failed(message, cause) {
      countError(metrics, 'internal');
      lastFailure = cause;
      lastMessage = message;
      logFailure();
    },
    unknownMessage(name) {
      countError(metrics, 'unknown-message');
      warnOnce(
        `message ${name}`,
        { spoe_message: name },
        'unknown SPOE message: does HAProxy use another spoe.cfg?',
      );
    },
    malformed(message, cause) {
      countError(metrics, 'malformed-argument');
      warnOnce(`malformed ${message}`, { spoe_message: message }, `malformed argument: ${cause.message}`);
    },
    configurationMismatch: (theirs, ours) =>
      warnOnce(
        `configuration ${theirs}`,
        { theirs, ours },
        `HAProxy uses configuration files ${theirs}, this version of appsec-edge ships ${ours}: see haproxyconf/CHANGELOG.md`,
      ),
    pageSubstituted(maxActionsBytes) {
      countError(metrics, 'block-page-too-large');
      warnOnce(
        'page',
        { maxActionsBytes },
        "the block page does not fit into HAProxy's frame, so the built-in one was sent: make it smaller or raise tune.bufsize",
      );
    },
    variablesDropped(names) {
      countError(metrics, 'variables-dropped');
      warnOnce('variables', { names }, "variables do not fit into HAProxy's frame: raise tune.bufsize");
    },
  };
}
