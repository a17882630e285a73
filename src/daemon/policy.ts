import { randomUUID } from 'node:crypto';
import { packageVersion } from '../config/package-info.ts';
import { agentUrlOf } from '../datadog/agent-http.ts';
import { type Capability, capabilityBits } from '../datadog/remote-config/capabilities.ts';
import {
  type ApplyOutcome,
  ApplyState,
  drawClientId,
  RemoteConfigClient,
} from '../datadog/remote-config/client.ts';
import { featuresProduct, RemoteProducts, wafProducts } from '../datadog/remote-config/products.ts';
import type { WafConfig, WafConfigChange, WafConfigOutcome } from '../engine/waf/waf-configs.ts';
import type { Logger } from '../ops/log.ts';
import type { FolderSource } from '../policy/folder-source.ts';
import { openPolicyFolder, startOrExplain } from './policy-folder.ts';
import { logFindings, RemoteFindings } from './policy-log.ts';
import { type Config, serviceOf } from './settings.ts';

/** Where rules come from while the daemon runs. */
export interface Policy {
  /** Looks through the folder now; the sources notice changes by themselves, only later. */
  reload(): void;
  stop(): void;
}

/** What rules act on: all engines. */
export interface PolicyTarget {
  enabled: boolean;
  apply(change: WafConfigChange): WafConfigOutcome[];
  readonly inEffect: readonly WafConfig[];
}

/**
 * Starts the sources of rules: the folder first, so that it is in effect before the first request, then Remote Config.
 * @throws StartError when the folder cannot be read.
 */
export function startPolicy(
  config: Config,
  engines: PolicyTarget,
  remoteConfigClientId: string | undefined,
  logger: Logger,
): Policy {
  const activation = new Activation(config, engines, logger);
  // What one source changes can free an id for the other, or take it: each is told of its own paths.
  let remote: RemoteSource | undefined;
  const findings = new RemoteFindings(logger, () => engines.inEffect);
  const folder = startFolder(
    config,
    engines,
    (change) => {
      const outcomes = engines.apply(change);
      remote?.follow(outcomes);
      findings.check();
      return outcomes;
    },
    activation,
    logger,
  );
  if (remoteConfigClientId !== undefined) {
    remote = startRemoteConfig(
      config,
      remoteConfigClientId,
      (change) => {
        const outcomes = engines.apply(change);
        folder?.follow(outcomes);
        findings.check();
        return outcomes;
      },
      activation,
      logger,
    );
  }
  return {
    reload: () => folder?.scan(),
    stop() {
      folder?.stop();
      remote?.stop();
    },
  };
}

type Apply = PolicyTarget['apply'];

interface RemoteSource {
  readonly clientId: string;
  follow(outcomes: readonly WafConfigOutcome[]): void;
  stop(): void;
}

/**
 * Whether the engine is on: DD_APPSEC_ENABLED decides when it is set, else the folder, else Remote Config; when none
 * says anything it is on.
 */
class Activation {
  readonly #config: Config;
  readonly #engines: PolicyTarget;
  readonly #logger: Logger;
  folder: boolean | undefined;
  remote: boolean | undefined;

  constructor(config: Config, engines: PolicyTarget, logger: Logger) {
    this.#config = config;
    this.#engines = engines;
    this.#logger = logger;
    this.decide();
  }

  decide(): void {
    const enabled = this.#config.appSecEnabled ?? this.folder ?? this.remote ?? true;
    if (enabled === this.#engines.enabled) return;
    this.#engines.enabled = enabled;
    this.#logger.warn({ enabled }, enabled ? 'inspection switched on' : 'inspection switched off');
  }
}

function startFolder(
  config: Config,
  engines: PolicyTarget,
  apply: Apply,
  activation: Activation,
  logger: Logger,
): FolderSource | undefined {
  const source = openPolicyFolder(
    config,
    {
      apply,
      activate(enabled) {
        activation.folder = enabled;
        activation.decide();
      },
      inEffect: () => engines.inEffect,
    },
    {
      applied: (file) => logger.info({ file }, 'policy file in effect'),
      removed: (file) => logger.info({ file }, 'policy file gone'),
      found: (findings) => logFindings(logger, findings),
      failed: (file, problem) =>
        logger.error({ file }, `policy ${file}: ${problem}; the last good state stays`),
    },
  );
  if (source !== undefined) startOrExplain(config, () => source.start());
  return source;
}

/** The identity of the Remote Config client; undefined when there is to be none. */
export function drawRemoteConfigClientId(config: Config): string | undefined {
  return config.remoteConfigEnabled && config.tracingEnabled ? drawClientId() : undefined;
}

function startRemoteConfig(
  config: Config,
  clientId: string,
  apply: Apply,
  activation: Activation,
  logger: Logger,
): RemoteSource {
  const switchable = config.appSecEnabled === undefined;
  const products = new RemoteProducts({
    apply,
    activate(enabled) {
      activation.remote = enabled;
      activation.decide();
    },
  });
  const client = new RemoteConfigClient({
    clientId,
    agentUrl: agentUrlOf(config),
    pollIntervalMs: config.remoteConfigPollIntervalMs,
    products: switchable ? [...wafProducts, featuresProduct] : wafProducts,
    capabilities: capabilitiesOf(config),
    runtimeId: randomUUID(),
    tracerVersion: packageVersion,
    service: serviceOf(config),
    environment: config.environment,
    version: config.version ?? packageVersion,
    apply(update) {
      const outcomes = products.apply(update);
      logRefusals(logger, outcomes);
      logger.info(
        { added: update.added.map(({ path }) => path), removed: update.removed.map(({ path }) => path) },
        'Remote Config applied',
      );
      return outcomes;
    },
    observer: {
      // Whether the Agent itself can be reached is said elsewhere, once.
      polled: (problem) =>
        problem === undefined
          ? logger.info('Remote Config reached')
          : logger.debug({ problem }, 'Remote Config not reached'),
      refused: (error) => logger.error(`Remote Config: ${error.message}; nothing of this answer is applied`),
      ignored: (paths) =>
        logger.warn({ paths }, 'Remote Config names configurations that are not understood'),
    },
  });
  client.start();
  return {
    clientId: client.clientId,
    follow(outcomes) {
      const corrected = client.correct(products.outcomesOf(outcomes));
      logRefusals(logger, corrected);
    },
    stop: () => client.stop(),
  };
}

function logRefusals(logger: Logger, outcomes: ReadonlyMap<string, ApplyOutcome>): void {
  for (const [path, { state, error }] of outcomes) {
    if (state === ApplyState.error)
      logger.error({ path }, `Remote Config refused: ${error}; the last good state stays`);
    else if (error !== '') logger.error({ path }, `Remote Config: ${error}`);
  }
}

/** With a ruleset of the operator's own, the console must not think that it can block with it. */
const needBuiltInRules: ReadonlySet<Capability> = new Set([
  'ipBlocking',
  'requestBlocking',
  'responseBlocking',
  'userBlocking',
  'customBlockingResponse',
]);

function capabilitiesOf(config: Config): Capability[] {
  return (Object.keys(capabilityBits) as Capability[]).filter((capability) => {
    if (capability === 'activation') return config.appSecEnabled === undefined;
    return config.rulesPath === undefined || !needBuiltInRules.has(capability);
  });
}
