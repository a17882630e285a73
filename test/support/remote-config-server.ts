/** What a Datadog Agent answers to /v0.7/config: index, hashes and files built from a map of path to content. */
import { createHash } from 'node:crypto';

/** The parts of the request that tests look at. */
export interface RemoteConfigRequest {
  readonly client: {
    readonly id: string;
    readonly products: readonly string[];
    readonly is_tracer: boolean;
    readonly client_tracer: Readonly<Record<string, unknown>>;
    readonly capabilities: string;
    readonly state: {
      readonly root_version: number;
      readonly targets_version: number;
      readonly config_states: readonly {
        readonly id: string;
        readonly version: number;
        readonly product: string;
        readonly apply_state: number;
        readonly apply_error: string;
      }[];
      readonly has_error: boolean;
      readonly error: string;
      readonly backend_client_state: string;
    };
  };
  readonly cached_target_files: readonly {
    readonly path: string;
    readonly length: number;
    readonly hashes: readonly { readonly algorithm: string; readonly hash: string }[];
  }[];
}

export interface RemoteConfigAnswer {
  readonly targets: string;
  readonly target_files: readonly { readonly path: string; readonly raw: string }[];
  readonly client_configs: readonly string[];
}

/** A content that is not a string is sent as JSON. */
export type RemoteFiles = Readonly<Record<string, unknown>>;

interface Target {
  length: number;
  hashes: Record<string, string>;
  custom: { v: number };
}

export interface AnswerOptions {
  readonly version?: number;
  readonly backendState?: string;
  /** Version of each file in the index. */
  readonly fileVersion?: number;
  /** Makes the index wrong. */
  readonly edit?: (targets: Record<string, Target>) => void;
  /** Files of the index that are not sent along. */
  readonly withhold?: readonly string[];
}

export function remoteConfigAnswer(files: RemoteFiles, options: AnswerOptions = {}): RemoteConfigAnswer {
  const targets: Record<string, Target> = {};
  const targetFiles: { path: string; raw: string }[] = [];
  for (const [path, content] of Object.entries(files)) {
    const raw = Buffer.from(typeof content === 'string' ? content : JSON.stringify(content));
    const sha256 = createHash('sha256').update(raw).digest('hex');
    targets[path] = { length: raw.length, hashes: { sha256 }, custom: { v: options.fileVersion ?? 1 } };
    if (!options.withhold?.includes(path)) targetFiles.push({ path, raw: raw.toString('base64') });
  }
  options.edit?.(targets);
  const signed = {
    _type: 'targets',
    spec_version: '1.0',
    version: options.version ?? 1,
    custom: { opaque_backend_state: options.backendState ?? 'state-1' },
    targets,
  };
  return {
    targets: Buffer.from(JSON.stringify({ signatures: [], signed })).toString('base64'),
    target_files: targetFiles,
    client_configs: Object.keys(files),
  };
}

/** The Remote Config side of an Agent: sends what changed, as an Agent does, and remembers what it was asked. */
export class RemoteConfigServer {
  readonly requests: RemoteConfigRequest[] = [];
  #version = 0;
  #answer: (request: RemoteConfigRequest) => { status: number; body: string } | undefined = () => ({
    status: 200,
    body: '{}',
  });
  readonly #waiting = new Set<() => void>();
  /** The most requests that waited for their answers at the same time. */
  mostAtOnce = 0;
  #unanswered = 0;
  #delayMs = 0;

  /** The last request. */
  get last(): RemoteConfigRequest {
    const request = this.requests.at(-1);
    if (request === undefined) throw new Error('nobody asked for configuration yet');
    return request;
  }

  /** From now on these files apply to every client, under a targets version of its own. */
  serve(files: RemoteFiles, options: AnswerOptions = {}): void {
    const version = options.version ?? ++this.#version;
    this.#version = version;
    const answer = remoteConfigAnswer(files, { ...options, version });
    this.#answer = (request) => {
      if (request.client.state.targets_version === version) return { status: 200, body: '{}' };
      const cached = new Map(request.cached_target_files.map((file) => [file.path, file.hashes[0]?.hash]));
      const changed = answer.target_files.filter(
        ({ path, raw }) =>
          cached.get(path) !== createHash('sha256').update(Buffer.from(raw, 'base64')).digest('hex'),
      );
      return { status: 200, body: JSON.stringify({ ...answer, target_files: changed }) };
    };
  }

  /** From now on exactly this, whatever is asked. */
  answer(body: string, status = 200): void {
    this.#answer = () => ({ status, body });
  }

  /** From now on no answer at all. */
  hang(): void {
    this.#answer = () => undefined;
  }

  /** From now on every answer takes as long. */
  delay(delayMs: number): void {
    this.#delayMs = delayMs;
  }

  /** Takes one request, and calls `respond` unless it is never to be answered. */
  receive(body: string, respond: (answer: { status: number; body: string }) => void): void {
    const request = JSON.parse(body) as RemoteConfigRequest;
    this.requests.push(request);
    for (const wake of this.#waiting) wake();
    const answer = this.#answer(request);
    if (answer === undefined) return;
    this.#unanswered += 1;
    this.mostAtOnce = Math.max(this.mostAtOnce, this.#unanswered);
    setTimeout(() => {
      this.#unanswered -= 1;
      respond(answer);
    }, this.#delayMs);
  }

  /** The first request from now on for which `accept` is true. Rejects after `timeoutMs` with the last one. */
  waitFor(
    accept: (request: RemoteConfigRequest) => boolean,
    timeoutMs = 10_000,
  ): Promise<RemoteConfigRequest> {
    return new Promise((resolve, reject) => {
      const wake = (): void => {
        if (!accept(this.last)) return;
        clearTimeout(timer);
        this.#waiting.delete(wake);
        resolve(this.last);
      };
      const timer = setTimeout(() => {
        this.#waiting.delete(wake);
        reject(new Error(`no such poll in ${timeoutMs} ms; last: ${JSON.stringify(this.requests.at(-1))}`));
      }, timeoutMs);
      this.#waiting.add(wake);
    });
  }

  /** Resolves when a client says that it took the files served last; its states tell how. */
  taken(): Promise<RemoteConfigRequest> {
    const version = this.#version;
    return this.waitFor(({ client }) => client.state.targets_version === version);
  }

  /** Resolves when a client says that it could make nothing of the last answer. */
  refused(): Promise<RemoteConfigRequest> {
    return this.waitFor(({ client }) => client.state.has_error);
  }
}
