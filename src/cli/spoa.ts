import type { Server } from 'node:http';
import { parseAllowList } from '../adapters/haproxy/allow-list.ts';
import { messageNames } from '../adapters/haproxy/contract.ts';
import { drawInstance } from '../adapters/haproxy/identity.ts';
import { NotifyRouter } from '../adapters/haproxy/notify-router.ts';
import type { PeerAddress } from '../adapters/haproxy/peers/address.ts';
import type { LinkOptions } from '../adapters/haproxy/peers/link.ts';
import { PeerNetwork } from '../adapters/haproxy/peers/network.ts';
import { peerAnswerer } from '../adapters/haproxy/peers/proof.ts';
import { SpopServer } from '../adapters/haproxy/server.ts';
import { watchAgent } from '../datadog/agent-watch.ts';
import { Waf } from '../engine/waf/waf.ts';
import { createHealthServer } from '../ops/health-server.ts';
import { createLogger, type Logger, standardOutput } from '../ops/log.ts';
import { Metrics } from '../ops/metrics.ts';
import { type Engines, startEngines } from './engines.ts';
import { listenError } from './listen-errors.ts';
import { createWaf, type LoadedWaf, readEngineFiles } from './load-engine.ts';
import { lowValueWarnings } from './low-values.ts';
import { misspeltVariables } from './misspelt.ts';
import { packageVersion } from './package-info.ts';
import { drawRemoteConfigClientId, startPolicy } from './policy.ts';
import { logRulesetFindings } from './policy-log.ts';
import { reload } from './reload.ts';
import type { Config } from './settings.ts';
import { peerObserver, routerObserver, serverObserver } from './spoa-observers.ts';
import { readTls, renewTlsOnHangup } from './tls-files.ts';

/** Runs the SPOA until a signal ends the process. Rejects with an error for the operator when it cannot start. */
export async function runSpoa(config: Config): Promise<void> {
  const destination = standardOutput(config.logFormat);
  const logger = createLogger(config.logLevel, destination);
  for (const warning of [...lowValueWarnings(config), ...misspeltVariables(process.env)])
    logger.warn(warning);
  const metrics = new Metrics(Object.values(messageNames));
  metrics.countedElsewhere(
    'log_lines_lost_total',
    'Log lines that standard output did not take.',
    () => destination.lost,
  );
  const instance = drawInstance();
  const remoteConfigClientId = drawRemoteConfigClientId(config);

  let tls = readTls(config);
  const files = readEngineFiles(config);
  const loaded = createWaf(config, files);
  logRuleset(logger, loaded, config);
  const engines = await startEngines({
    ...{ config, files, loaded, instance, logger, destination, metrics, remoteConfigClientId },
  });
  const peers =
    config.peers === undefined
      ? undefined
      : createPeers(config, config.peers, instance, logger, () => tls?.secureContext);
  const router = new NotifyRouter(
    engines.jobs,
    { instance, processingTimeoutMs: config.processingTimeoutMs, peers },
    routerObserver(logger, metrics),
  );
  const server = new SpopServer(
    {
      ...config,
      allowed: config.allowed && parseAllowList(config.allowed),
      tls: tls?.identity,
      answerPeer: peerAnswerer(instance, config.peerSecret),
    },
    router,
    serverObserver(logger, metrics, (peer) => peers?.heardOf(peer)),
  );
  addGauges(metrics, engines, server, peers);

  if (tls !== undefined) {
    renewTlsOnHangup(config, logger, (renewed) => {
      tls = renewed;
      server.renewTls(renewed.identity);
    });
  }

  let ready = false;
  const health = createHealthServer(config.version ?? packageVersion, {
    ready: () => ready,
    metrics: async () => ({
      contentType: metrics.registry.contentType,
      body: await engines.metricsText(),
    }),
  });
  const policy = startPolicy(config, engines, remoteConfigClientId, logger);
  await listenHealth(health, config);
  const listening = await listenSpop(server, config);
  peers?.start();
  ready = true;
  logger.info(
    {
      ...{ version: packageVersion, listening, tls: tls !== undefined, health: config.healthcheckPort },
      ...{ engineThreads: engines.threads, instance },
    },
    `listening on ${listening}`,
  );
  const stopWatching = config.tracingEnabled ? watchAgent(config, logger) : () => undefined;

  let stopping = false;
  const stop = (signal: NodeJS.Signals): void => {
    if (stopping) {
      logger.warn({ signal }, 'second signal: ending at once');
      process.exit(1);
    }
    stopping = true;
    ready = false;
    stopWatching();
    policy.stop();
    logger.info({ signal, connections: server.connections }, 'draining');
    const deadline = setTimeout(() => process.exit(0), config.shutdownTimeoutMs);
    deadline.unref();
    server
      .drain(
        config.shutdownGraceMs,
        config.shutdownTimeoutMs - flushReserveMs,
        () => engines.liveTransactions > 0,
      )
      .then(() => {
        peers?.stop();
        return engines.drain();
      })
      .catch((cause: unknown) => logger.error({ err: cause }, 'draining failed'))
      .finally(() => {
        logger.info('stopped');
        process.exit(0);
      });
  };
  process.on('SIGHUP', () => {
    if (!stopping) reload(config, engines, policy, logger);
  });
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
}

function createPeers(
  config: Config,
  peers: readonly PeerAddress[],
  instance: string,
  logger: Logger,
  secureContext: NonNullable<LinkOptions['secureContext']>,
): PeerNetwork {
  const { peerSecret: secret, maxFrameSizeBytes } = config;
  return new PeerNetwork({ peers, instance, secret, maxFrameSizeBytes, secureContext }, peerObserver(logger));
}

function addGauges(
  metrics: Metrics,
  engines: Engines,
  server: SpopServer,
  peers: PeerNetwork | undefined,
): void {
  metrics.gauge(
    'peers_linked',
    'Other agents that messages can be passed on to.',
    () => peers?.instances.length ?? 0,
  );
  metrics.gauge('transactions_live', 'Transactions waiting for a message.', () => engines.liveTransactions);
  metrics.gauge('spop_connections', 'Open SPOP connections.', () => server.connections);
  metrics.gauge('spop_frames_in_flight', 'NOTIFY frames that wait for their ACK.', () => server.inFlight);
}

/** Of the time to stop, kept for sending the last spans. */
const flushReserveMs = 2000;

function logRuleset(logger: Logger, { waf, configs }: LoadedWaf, config: Config): void {
  for (const issue of waf.issues) {
    logger.warn(
      { part: issue.part, ids: issue.ids },
      `ruleset: libddwaf refused ${issue.part}: ${issue.reason}`,
    );
  }
  if (config.rulesPath !== undefined) logRulesetFindings(logger, config.rulesPath, configs.inEffect);
  logger.info(
    {
      ruleset: waf.rulesetVersion,
      rules: waf.loadedRules,
      libddwaf: Waf.libraryVersion,
      file: config.rulesPath,
    },
    'ruleset loaded',
  );
}

async function listenHealth(health: Server, config: Config): Promise<void> {
  const address = { host: config.healthcheckHost ?? config.host, port: config.healthcheckPort };
  await new Promise<void>((resolve, reject) => {
    // Stays: later errors, for instance of accepting without descriptors, must not end the process.
    health.on('error', (cause) => reject(listenError(cause, 'health', config)));
    health.listen(address, resolve);
  });
}

async function listenSpop(server: SpopServer, config: Config): Promise<string> {
  const { host, port, socketPath } = config;
  try {
    return await server.listen(socketPath === undefined ? { host, port } : { socketPath });
  } catch (cause) {
    throw listenError(cause, 'spop', config);
  }
}
