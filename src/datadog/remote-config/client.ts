import { randomBytes } from 'node:crypto';
import { messageOf } from '../../message-of.ts';
import { type AgentRequest, type AgentResponse, askAgent } from '../agent-http.ts';
import { type Capability, encodeCapabilities } from './capabilities.ts';
import { type NewTargetFile, RepositoryError, readTargets, type TargetFile } from './response.ts';

/** Datadog's numbers: what became of a configuration. */
export const ApplyState = { unacknowledged: 1, acknowledged: 2, error: 3 } as const;

/** What became of one configuration. `error` is empty unless it was refused. */
export interface ApplyOutcome {
  readonly state: (typeof ApplyState)[keyof typeof ApplyState];
  readonly error: string;
}

export const acknowledged: ApplyOutcome = { state: ApplyState.acknowledged, error: '' };

export interface RemoteConfigUpdate {
  readonly removed: readonly TargetFile[];
  readonly added: readonly NewTargetFile[];
}

export interface RemoteConfigOptions {
  /** See `generateClientId`; spans name it. */
  readonly clientId: string;
  readonly agentUrl: string;
  /** Time between polls; 0: as soon as the last one is answered. */
  readonly pollIntervalMs: number;
  /** How long to wait for an answer. Default: 10 seconds. */
  readonly timeoutMs?: number;
  readonly products: readonly string[];
  readonly capabilities: readonly Capability[];
  readonly runtimeId: string;
  readonly tracerVersion: string;
  readonly service: string;
  readonly environment: string | undefined;
  readonly version: string;
  /**
   * Takes a whole update into effect; answers for each path of `added`, and for others whose outcome this update
   * changed. Must not throw.
   */
  apply(update: RemoteConfigUpdate): ReadonlyMap<string, ApplyOutcome>;
  /** Notified when polls start to fail or succeed, and of errors in an answer. */
  readonly observer: RemoteConfigObserver;
}

export interface RemoteConfigObserver {
  /** Undefined: polls succeed again. */
  polled?(problem: string | undefined): void;
  refused?(error: RepositoryError): void;
  ignored?(paths: readonly string[]): void;
}

interface AppliedFile {
  readonly file: TargetFile;
  readonly outcome: ApplyOutcome;
}

const path = '/v0.7/config';
const defaultTimeoutMs = 10_000;
/** Even with an interval of 0, a failing Datadog Agent is not polled in a busy loop. */
const retryMs = 100;
const clientIdCharacters = 21;

export function generateClientId(): string {
  return randomBytes(16).toString('base64url').slice(0, clientIdCharacters);
}

/**
 * Polls the Agent for what Datadog's console says. Survives an Agent that is absent, slow, wrong or restarted: what
 * was applied stays in effect until an answer says otherwise.
 */
export class RemoteConfigClient {
  readonly #options: RemoteConfigOptions;
  readonly #products: ReadonlySet<string>;
  readonly #applied = new Map<string, AppliedFile>();
  #targetsVersion = 0;
  #backendState = '';
  #repositoryError = '';
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;
  #problem: string | undefined;

  constructor(options: RemoteConfigOptions) {
    this.#options = options;
    this.#products = new Set(options.products);
  }

  /** Polls now, and then until `stop`. */
  start(): void {
    this.poll().finally(() => {
      if (this.#stopped) return;
      const intervalMs = Math.max(this.#options.pollIntervalMs, this.#problem === undefined ? 0 : retryMs);
      this.#timer = setTimeout(() => this.start(), intervalMs);
      this.#timer.unref();
    });
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  /**
   * Takes note of outcomes that changed later than their update.
   * @returns those of them whose paths are applied here.
   */
  correct(outcomes: ReadonlyMap<string, ApplyOutcome>): Map<string, ApplyOutcome> {
    const corrected = new Map<string, ApplyOutcome>();
    for (const [key, outcome] of outcomes) {
      const applied = this.#applied.get(key);
      if (applied === undefined) continue;
      this.#applied.set(key, { file: applied.file, outcome });
      corrected.set(key, outcome);
    }
    return corrected;
  }

  /** One poll. Never rejects. */
  async poll(): Promise<void> {
    const timeoutMs = this.#options.timeoutMs ?? defaultTimeoutMs;
    const request: AgentRequest = { method: 'POST', path, json: this.#request(), timeoutMs };
    let response: AgentResponse;
    try {
      response = await askAgent(this.#options.agentUrl, request);
    } catch (cause) {
      this.#report(messageOf(cause));
      return;
    }
    if (this.#stopped) return;
    if (response.status !== 200) {
      const hint = response.status === 404 ? ' (Remote Configuration is off in the Agent)' : '';
      this.#report(`${path} answered ${response.status}${hint}`);
      return;
    }
    this.#report(undefined);
    this.#repositoryError = '';
    try {
      this.#take(response.body);
    } catch (cause) {
      // Internal errors are reported like errors in the answer: they must end neither the process nor the polls.
      const error = cause instanceof RepositoryError ? cause : new RepositoryError(String(cause), { cause });
      this.#repositoryError = error.message;
      this.#options.observer.refused?.(error);
    }
  }

  #take(body: string): void {
    const files = new Map([...this.#applied].map(([key, { file }]) => [key, file] as const));
    const update = readTargets(body, files, this.#products);
    if (update === undefined) return;
    if (update.ignored.length > 0) this.#options.observer.ignored?.(update.ignored);
    const removed = update.removed.flatMap((key) => files.get(key) ?? []);
    if (removed.length > 0 || update.added.length > 0) {
      const outcomes = this.#options.apply({ removed, added: update.added });
      for (const key of update.removed) this.#applied.delete(key);
      this.correct(outcomes);
      for (const { raw: _raw, ...file } of update.added) {
        this.#applied.set(file.path, { file, outcome: outcomes.get(file.path) ?? acknowledged });
      }
    }
    for (const file of update.renewed) {
      this.#applied.set(file.path, { file, outcome: this.#applied.get(file.path)?.outcome ?? acknowledged });
    }
    this.#targetsVersion = update.targetsVersion;
    this.#backendState = update.backendState;
  }

  #report(problem: string | undefined): void {
    if (problem === this.#problem) return;
    this.#problem = problem;
    this.#options.observer.polled?.(problem);
  }

  #request(): object {
    const options = this.#options;
    const applied = [...this.#applied.values()];
    return {
      client: {
        id: this.#options.clientId,
        products: options.products,
        is_tracer: true,
        client_tracer: {
          runtime_id: options.runtimeId,
          language: 'node',
          tracer_version: options.tracerVersion,
          service: options.service,
          env: options.environment,
          app_version: options.version,
          extra_services: [],
          tags: [],
        },
        capabilities: encodeCapabilities(options.capabilities),
        state: {
          root_version: 1,
          targets_version: this.#targetsVersion,
          config_states: applied.map(({ file, outcome }) => ({
            id: file.configId,
            version: file.version,
            product: file.product,
            apply_state: outcome.state,
            apply_error: outcome.error,
          })),
          has_error: this.#repositoryError !== '',
          error: this.#repositoryError,
          backend_client_state: this.#backendState,
        },
      },
      cached_target_files: applied.map(({ file }) => ({
        path: file.path,
        length: file.length,
        hashes: Object.entries(file.hashes).map(([algorithm, hash]) => ({ algorithm, hash })),
      })),
    };
  }
}
