import { randomBytes } from 'node:crypto';
import type { Server } from 'node:http';
import { explainListen } from '../config/listen-error.ts';
import { packageVersion } from '../config/package-info.ts';
import { watchAgent } from '../datadog/agent-watch.ts';
import { Waf } from '../engine/waf/waf.ts';
import { messageOf } from '../message-of.ts';
import { createHealthServer } from '../ops/health-server.ts';
import { createLogger, type Logger, standardOutput } from '../ops/log.ts';
import { Metrics } from '../ops/metrics.ts';
import { Dispatcher } from '../workers/dispatcher.ts';
import type { Door, Listening } from './door.ts';
import { createWaf, type LoadedWaf, readEngineFiles, readPages } from './engine-files.ts';
import { doorAt, metricsOf } from './engine-instance.ts';
import type { Engines } from './engines.ts';
import { lowValueWarnings } from './low-values.ts';
import { misspeltVariables } from './misspelt.ts';
import { generateRemoteConfigClientId, type Policy, startPolicy } from './policy.ts';
import { logRulesetFindings } from './policy-log.ts';
import { type Config, doorsOf, healthHost, settings } from './settings.ts';
import { handleSignals } from './signals.ts';
import { startEngines } from './start-engines.ts';

/** Of the time to stop, kept for sending the last spans. */
const flushReserveMs = 2000;

/**
 * Opens the doors that the configuration names and keeps them open until a signal ends the process. Rejects with an
 * error for the operator when it cannot start; then nothing was opened to traffic but what the process takes with it
 * when it ends.
 */
export async function run(config: Config): Promise<void> {
  const destination = standardOutput(config.logFormat);
  const logger = createLogger(config.logLevel, destination);
  for (const warning of [...lowValueWarnings(config), ...misspeltVariables(process.env)])
    logger.warn(warning);
  const metrics = new Metrics();
  metrics.countedElsewhere(
    'log_lines_lost_total',
    'Log lines that standard output did not take.',
    () => destination.lost,
  );
  const instance = randomBytes(8).toString('hex');
  const remoteConfigClientId = generateRemoteConfigClientId(config);

  const open = doorsOf(config.doors);
  const modules = await Promise.all(open.map((door) => door.load()));
  const files = readEngineFiles(config);
  const loaded = createWaf(config, files);
  logRuleset(logger, loaded, config);
  const engines = await startEngines({
    config,
    open,
    files,
    loaded,
    instance,
    logger,
    destination,
    metrics,
    remoteConfigClientId,
  });
  metrics.gauge('transactions_live', 'Transactions waiting for a message.', () => engines.liveTransactions);
  const { healthcheckPort: port } = config;
  const takenPorts = [{ port, variable: settings.healthcheckPort.env, name: 'the health port' }];
  const opened = modules.map((module, number): OpenDoor => {
    const door = doorAt(open, number);
    const services = {
      engines: new Dispatcher(engines.jobs, number),
      instance,
      logger,
      metrics: metricsOf(metrics, door, config),
      takenPorts,
    };
    return { name: door.traits(config).name, door: module.createDoor(config, services) };
  });
  const policy = startPolicy(config, engines, remoteConfigClientId, logger);
  const daemon = new Daemon(config, engines, policy, opened, logger);
  await listenHealth(createHealth(config, daemon, engines, metrics), config);
  await daemon.open(instance);
}

interface OpenDoor {
  readonly name: string;
  readonly door: Door;
}

/** The process while its doors are open. */
class Daemon {
  readonly #config: Config;
  readonly #engines: Engines;
  readonly #policy: Policy;
  readonly #doors: readonly OpenDoor[];
  readonly #logger: Logger;
  #stopWatching: () => void = () => undefined;
  ready = false;

  constructor(config: Config, engines: Engines, policy: Policy, open: readonly OpenDoor[], logger: Logger) {
    this.#config = config;
    this.#engines = engines;
    this.#policy = policy;
    this.#doors = open;
    this.#logger = logger;
  }

  async open(instance: string): Promise<void> {
    const config = this.#config;
    const places = await Promise.all(this.#doors.map(({ door }) => door.listen()));
    const listening = this.#describe(places);
    this.ready = true;
    this.#logger.info(
      {
        version: packageVersion,
        listening,
        doors: this.#doors.map(({ name }) => name),
        tls: places.some(({ tls }) => tls),
        health: config.healthcheckPort,
        engineThreads: this.#engines.threads,
        instance,
      },
      `listening on ${listening}`,
    );
    if (config.tracingEnabled) this.#stopWatching = watchAgent(config, this.#logger);
    handleSignals({
      stop: (signal) => this.#stop(signal),
      reload: () => this.#reload(),
      stoppedTwice: (signal) => this.#logger.warn({ signal }, 'second signal: exiting immediately'),
    });
  }

  /** For instance `127.0.0.1:3000`; with several doors, each by its name. */
  #describe(places: readonly Listening[]): string {
    if (places.length === 1) return places.map(({ address }) => address).join();
    return places.map(({ address }, number) => `${address} (${this.#doors[number]?.name})`).join(', ');
  }

  #stop(signal: NodeJS.Signals): void {
    const { shutdownGraceMs, shutdownTimeoutMs } = this.#config;
    this.ready = false;
    this.#stopWatching();
    this.#policy.stop();
    this.#logger.info({ signal, transactions: this.#engines.liveTransactions }, 'draining');
    setTimeout(() => process.exit(0), shutdownTimeoutMs).unref();
    this.#drain(shutdownGraceMs, shutdownTimeoutMs - flushReserveMs)
      .catch((cause: unknown) => this.#logger.error({ err: cause }, 'draining failed'))
      .finally(() => {
        this.#logger.info('stopped');
        process.exit(0);
      });
  }

  /** Drains all doors concurrently, each by its own rules, then the engines. */
  async #drain(graceMs: number, deadlineMs: number): Promise<void> {
    const left = await Promise.allSettled(this.#doors.map(({ door }) => door.drain(graceMs, deadlineMs)));
    for (const result of left) {
      if (result.status === 'rejected') this.#logger.error({ err: result.reason }, 'draining a door failed');
    }
    await this.#engines.drain();
  }

  /** Reloads what can change at run time. Errors are logged; the last good state stays in effect. */
  #reload(): void {
    try {
      this.#engines.replacePages(readPages(this.#config));
    } catch (cause) {
      this.#logger.error(`${messageOf(cause)}; the current block pages stay in use`);
    }
    this.#policy.reload();
    for (const { door } of this.#doors) door.reload?.();
    this.#logger.info(
      'SIGHUP: block pages and policy folder reloaded; settings and the ruleset need a restart',
    );
  }
}

function createHealth(config: Config, daemon: Daemon, engines: Engines, metrics: Metrics): Server {
  return createHealthServer(config.version ?? packageVersion, {
    ready: () => daemon.ready,
    metrics: async () => ({
      contentType: metrics.registry.contentType,
      body: await engines.metricsText(),
    }),
  });
}

function logRuleset(logger: Logger, { waf, configs }: LoadedWaf, config: Config): void {
  if (config.rulesPath !== undefined) logRulesetFindings(logger, config.rulesPath, configs.inEffect);
  for (const issue of waf.issues) {
    logger.warn(
      { part: issue.part, ids: issue.ids },
      `ruleset: libddwaf refused ${issue.part}: ${issue.reason}`,
    );
  }
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
  const { host, variable } = healthHost(config);
  const address = { host, port: config.healthcheckPort };
  const { env: port } = settings.healthcheckPort;
  await new Promise<void>((resolve, reject) => {
    // Stays: later errors, for instance of accepting without descriptors, must not end the process.
    health.on('error', (cause) => reject(explainListen(cause, address, { host: variable, port })));
    health.listen(address, resolve);
  });
}
