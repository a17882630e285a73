// HAProxy, the real daemon, and a Datadog Agent whose Remote Config the test decides.
import { FakeAgent } from '../../support/fake-agent.ts';
import type { AnswerOptions, RemoteConfigRequest, RemoteFiles } from '../../support/remote-config-server.ts';
import { fetchOnce, type RequestParts } from './http-client.ts';
import type { PolicyFile } from './policy-cases.ts';
import { type ProtectedProxy, startProtectedProxy } from './protected-proxy.ts';
import type { FoundHaproxy } from './stubbed-proxy.ts';

export class RemoteScene {
  readonly proxy: ProtectedProxy;
  /** In front of the same daemon. */
  readonly #others: readonly ProtectedProxy[];
  agent: FakeAgent;

  private constructor(proxy: ProtectedProxy, others: readonly ProtectedProxy[], agent: FakeAgent) {
    this.proxy = proxy;
    this.#others = others;
    this.agent = agent;
  }

  /** Of each HAProxy. */
  get ports(): readonly number[] {
    return [this.proxy, ...this.#others].map(({ httpPort }) => httpPort);
  }

  /**
   * @param binaries one at least: each HAProxy has the daemon as its agent.
   * @param env of the daemon.
   * @param socketPath where the Agent listens; a TCP port unless told.
   */
  static async start(
    [binary, ...more]: readonly FoundHaproxy[],
    env: Record<string, string> = {},
    socketPath?: string,
  ): Promise<RemoteScene> {
    if (binary === undefined) throw new Error('there is no HAProxy');
    const agent = await FakeAgent.start(socketPath);
    const address =
      socketPath === undefined
        ? { DD_AGENT_HOST: '127.0.0.1', DD_TRACE_AGENT_PORT: String(agent.port), DD_TRACE_AGENT_URL: '' }
        : { DD_TRACE_AGENT_URL: `unix://${socketPath}` };
    const proxy = await startProtectedProxy(binary, {
      daemon: {
        env: {
          ...{ DD_APPSEC_RULES: '', DD_TRACE_ENABLED: 'true', ...address },
          ...{ DD_REMOTE_CONFIG_POLL_INTERVAL_SECONDS: '0.1', APPSEC_EDGE_ENGINE_THREADS: '2', ...env },
        },
      },
    });
    const others: ProtectedProxy[] = [];
    for (const other of more) others.push(await startProtectedProxy(other, { daemon: proxy.daemon }));
    return new RemoteScene(proxy, others, agent);
  }

  /** Resolves with the poll that says that the daemon took these files. */
  serve(files: RemoteFiles, options: AnswerOptions = {}): Promise<RemoteConfigRequest> {
    this.agent.remoteConfig.serve(files, options);
    return this.agent.remoteConfig.taken();
  }

  /** Of the answer that a real client gets. */
  async statusOf(request: RequestParts): Promise<number> {
    return (await fetchOnce(this.proxy.httpPort, request)).status;
  }

  async stop(): Promise<void> {
    for (const proxy of [...this.#others, this.proxy]) await proxy.stop();
    this.agent.stop();
  }
}

export function pathOf(product: string, name = 'one'): string {
  return `datadog/2/${product}/${name}/config`;
}

export function remoteFiles(files: readonly PolicyFile[]): RemoteFiles {
  return Object.fromEntries(
    files.map(({ product, content }, index) => [pathOf(product, `file-${index}`), content]),
  );
}
