import { randomUUID } from 'node:crypto';
import { packageVersion } from '../config/package-info.ts';
import { agentUrlOf } from '../datadog/agent-http.ts';
import { type Capability, capabilityBits } from '../datadog/remote-config/capabilities.ts';
import {
  type ApplyOutcome,
  ApplyState,
  generateClientId,
  RemoteConfigClient,
} from '../datadog/remote-config/client.ts';
import { featuresProduct, RemoteProducts, wafProducts } from '../datadog/remote-config/products.ts';
import type { WafConfig, WafConfigChange, WafConfigOutcome } from '../engine/waf/waf-configs.ts';
import type { Logger } from '../ops/log.ts';
import type { FolderSource } from '../policy/folder-source.ts';
import { openPolicyFolder, startOrExplain } from './policy-folder.ts';
import { logFindings, RemoteFindings } from './policy-log.ts';
import { type Config, serviceOf } from './settings.ts';

/** What policy acts on: all engines. */
export interface PolicyEngines {
  enabled: boolean;
  apply(change: WafConfigChange): WafConfigOutcome[];
  readonly inEffect: readonly WafConfig[];
}

/**
 * Starts the sources of policy: the folder first, so that it is in effect before the first request, then Remote Config.
 * @param remoteConfigClientId undefined: no Remote Config
 * @throws StartError when the folder cannot be read.
 */
export function startPolicy(
  config: Config,
  engines: PolicyEngines,
  remoteConfigClientId: string | undefined,
  logger: Logger,
): Policy {
  const policy = new Policy(config, engines, logger);
  policy.start(remoteConfigClientId);
  return policy;
}

/** The id of the Remote Config client; undefined if Remote Config is off. */
export function generateRemoteConfigClientId(config: Config): string | undefined {
  return config.remoteConfigEnabled && config.tracingEnabled ? generateClientId() : undefined;
}

/**
 * Rules, lists and the switch while the process runs. Both sources act on the same engines; a change by one can free an
 * id for the other, or take it, so each follows the outcomes of the other's changes.
 */
export class Policy {
  readonly #config: Config;
  readonly #engines: PolicyEngines;
  readonly #logger: Logger;
  readonly #findings: RemoteFindings;
  #folder: FolderSource | undefined;
  #remote: RemoteSource | undefined;
  /** What the sources say about inspection; undefined: nothing. */
  #folderSwitch: boolean | undefined;
  #remoteSwitch: boolean | undefined;

  constructor(config: Config, engines: PolicyEngines, logger: Logger) {
    this.#config = config;
    this.#engines = engines;
    this.#logger = logger;
    this.#findings = new RemoteFindings(logger, () => engines.inEffect);
    this.#decide();
  }

  start(remoteConfigClientId: string | undefined): void {
    const folder = this.#openFolder();
    if (folder !== undefined) startOrExplain(this.#config, () => folder.start());
    this.#folder = folder;
    if (remoteConfigClientId !== undefined) this.#remote = this.#startRemoteConfig(remoteConfigClientId);
  }

  /** Scans the folder now; the sources notice changes on their own, but later. */
  reload(): void {
    this.#folder?.scan();
  }

  stop(): void {
    this.#folder?.stop();
    this.#remote?.client.stop();
  }

  /** DD_APPSEC_ENABLED decides if it is set, else the folder, else Remote Config; by default, inspection is on. */
  #decide(): void {
    const enabled = this.#config.appSecEnabled ?? this.#folderSwitch ?? this.#remoteSwitch ?? true;
    if (enabled === this.#engines.enabled) return;
    this.#engines.enabled = enabled;
    this.#logger.warn({ enabled }, enabled ? 'inspection switched on' : 'inspection switched off');
  }

  #openFolder(): FolderSource | undefined {
    const engines = this.#engines;
    const logger = this.#logger;
    return openPolicyFolder(
      this.#config,
      {
        apply: (change) => this.#applyFromFolder(change),
        activate: (enabled) => {
          this.#folderSwitch = enabled;
          this.#decide();
        },
        inEffect: () => engines.inEffect,
      },
      {
        applied: (file) => logger.info({ file }, 'policy file in effect'),
        removed: (file) => logger.info({ file }, 'policy file removed'),
        found: (findings) => logFindings(logger, findings),
        failed: (file, problem) =>
          logger.error({ file }, `policy ${file}: ${problem}; the last good state stays in effect`),
      },
    );
  }

  #applyFromFolder(change: WafConfigChange): WafConfigOutcome[] {
    const outcomes = this.#engines.apply(change);
    const remote = this.#remote;
    if (remote !== undefined) {
      logRefusals(this.#logger, remote.client.correct(remote.products.outcomesOf(outcomes)));
    }
    this.#findings.check();
    return outcomes;
  }

  #applyFromRemote(change: WafConfigChange): WafConfigOutcome[] {
    const outcomes = this.#engines.apply(change);
    this.#folder?.follow(outcomes);
    this.#findings.check();
    return outcomes;
  }

  #startRemoteConfig(clientId: string): RemoteSource {
    const products = new RemoteProducts({
      apply: (change) => this.#applyFromRemote(change),
      activate: (enabled) => {
        this.#remoteSwitch = enabled;
        this.#decide();
      },
    });
    const client = createRemoteConfigClient(this.#config, clientId, products, this.#logger);
    client.start();
    return { client, products };
  }
}

interface RemoteSource {
  readonly client: RemoteConfigClient;
  readonly products: RemoteProducts;
}

function createRemoteConfigClient(
  config: Config,
  clientId: string,
  products: RemoteProducts,
  logger: Logger,
): RemoteConfigClient {
  const switchable = config.appSecEnabled === undefined;
  return new RemoteConfigClient({
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
      // agent-watch.ts already logs whether the Datadog Agent is reachable.
      polled: (problem) =>
        problem === undefined
          ? logger.info('Remote Config available')
          : logger.debug({ problem }, 'Remote Config not available'),
      refused: (error) => logger.error(`Remote Config: ${error.message}; this update is ignored`),
      ignored: (paths) =>
        logger.warn({ paths }, 'Remote Config contains unsupported configurations, which are ignored'),
    },
  });
}

function logRefusals(logger: Logger, outcomes: ReadonlyMap<string, ApplyOutcome>): void {
  for (const [path, { state, error }] of outcomes) {
    if (state === ApplyState.error)
      logger.error({ path }, `Remote Config refused: ${error}; the last good state stays in effect`);
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
