// Proxies that send a copy of every request to a receiver: real NGINX, Envoy and Traefik between a client and an origin.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, inject, it } from 'vitest';
import type { EnvoyBinary } from '../../../tools/envoy-binaries.ts';
import type { SenderBinary } from '../../../tools/sender-binaries.ts';
import { dieTogether } from '../../support/child-processes.ts';
import { type EnvoyMessage, startEnvoy } from './envoy.ts';
import { envoyConfig } from './envoy-config.ts';
import { freePort } from './free-port.ts';
import { LineLog } from './line-log.ts';

/** What a test sees of the proxy. */
export interface MirrorSender {
  readonly port: number;
  readonly pid: number;
  report(): string;
  stop(): Promise<void>;
}

export interface MirrorPlan {
  readonly originPort: number;
  readonly mirrorPort: number;
}

export type FoundSender = Extract<SenderBinary | EnvoyBinary, { kind: 'found' }>;

const startTimeoutMs = 30_000;

/** One process, its folder and its output. */
class Program implements MirrorSender {
  readonly port: number;
  readonly log = new LineLog();
  readonly #folder: string;
  readonly #process: ChildProcess;
  readonly #config: string;

  /** @param flags `CONFIG` in them is the path of the configuration, `FOLDER` its folder. */
  constructor(port: number, path: string, flags: readonly string[], configOf: (folder: string) => string) {
    this.port = port;
    this.#folder = mkdtempSync(join(tmpdir(), 'appsec-edge-sender-'));
    this.#config = configOf(this.#folder);
    const file = join(this.#folder, 'config.yml');
    writeFileSync(file, this.#config);
    const args = flags.map((flag) => flag.replace('CONFIG', file).replace('FOLDER', this.#folder));
    this.#process = dieTogether(spawn(path, args, { stdio: ['ignore', 'pipe', 'pipe'] }));
    this.log.readFrom(this.#process.stdout);
    this.log.readFrom(this.#process.stderr);
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  get exited(): boolean {
    return this.#process.exitCode !== null || this.#process.signalCode !== null;
  }

  report(): string {
    return [this.#config, '--- output', ...this.log.lines].join('\n');
  }

  async start(): Promise<this> {
    const deadline = Date.now() + startTimeoutMs;
    while (!(await isListening(this.port))) {
      if (this.exited || Date.now() > deadline) {
        const report = this.report();
        await this.stop();
        throw new Error(`the proxy is not ready\n${report}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return this;
  }

  async stop(): Promise<void> {
    if (!this.exited) {
      const gone = once(this.#process, 'exit');
      // A master of NGINX ends its worker with it.
      this.#process.kill('SIGTERM');
      await gone;
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** As docs/mirror.md has it. */
const usualFields = `
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_set_header Host $http_host;
  proxy_set_header X-Real-IP $remote_addr;
  proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
  proxy_set_header X-Forwarded-Proto $scheme;
  proxy_set_header X-Request-ID $request_id;
  proxy_connect_timeout 200ms; proxy_send_timeout 5s; proxy_read_timeout 5s;
  proxy_next_upstream off;`;

/** As Wallarm's article about mirrored traffic has them. */
export const wallarmFields = `
  proxy_set_header X-SERVER-PORT $server_port;
  proxy_set_header X-SERVER-ADDR $server_addr;
  proxy_set_header HOST $http_host;
  proxy_set_header X-Forwarded-For $realip_remote_addr;
  proxy_set_header X-Forwarded-Port $realip_remote_port;
  proxy_set_header X-Forwarded-Proto $http_x_forwarded_proto;
  proxy_set_header X-Scheme $scheme;
  proxy_set_header X-Request-ID $request_id;`;

export async function startNginx(
  path: string,
  { originPort, mirrorPort }: MirrorPlan,
  fields = usualFields,
): Promise<MirrorSender> {
  const port = await freePort();
  const configOf = (folder: string): string => `
daemon off; worker_processes 1; user root; pid ${folder}/pid; error_log stderr error;
events { worker_connections 1024; }
http {
  access_log off; client_max_body_size 0; ignore_invalid_headers on; merge_slashes off;
  client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy; fastcgi_temp_path ${folder}/f;
  uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;
  upstream receiver { server 127.0.0.1:${mirrorPort} max_fails=0; keepalive 32; }
  server {
    listen 127.0.0.1:${port};
    location / {
      mirror /.appsec-edge; mirror_request_body on;
      proxy_pass http://127.0.0.1:${originPort}; proxy_http_version 1.1; proxy_set_header Host $http_host;
    }
    location = /.appsec-edge { internal; proxy_pass http://receiver$request_uri; ${fields} }
  }
}
`;
  const flags = ['-p', 'FOLDER', '-c', 'CONFIG', '-e', 'stderr'];
  return new Program(port, path, flags, configOf).start();
}

export async function startTraefik(path: string, plan: MirrorPlan, mirrorBody = true): Promise<MirrorSender> {
  const port = await freePort();
  const service = (url: string): string => `loadBalancer: { servers: [{ url: "${url}" }] }`;
  const configOf = (folder: string): string => {
    writeFileSync(
      join(folder, 'dynamic.yml'),
      `
http:
  routers: { site: { rule: "PathPrefix(\`/\`)", service: mirrored } }
  services:
    mirrored: { mirroring: { service: site, mirrorBody: ${mirrorBody}, mirrors: [{ name: receiver, percent: 100 }] } }
    site: { ${service(`http://127.0.0.1:${plan.originPort}`)} }
    receiver: { ${service(`http://127.0.0.1:${plan.mirrorPort}`)} }
`,
    );
    return `
entryPoints: { web: { address: "127.0.0.1:${port}" } }
providers: { file: { filename: ${folder}/dynamic.yml } }
global: { checkNewVersion: false, sendAnonymousUsage: false }
log: { level: ERROR }
`;
  };
  const traefik = await new Program(port, path, ['--configFile=CONFIG'], configOf).start();
  await untilRouted(traefik);
  return traefik;
}

/** Traefik listens before it has read where requests go. */
async function untilRouted(sender: MirrorSender): Promise<void> {
  const deadline = Date.now() + startTimeoutMs;
  while ((await fetch(`http://127.0.0.1:${sender.port}/ready`)).status === 404) {
    if (Date.now() > deadline) throw new Error(`Traefik knows no route\n${sender.report()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export interface EnvoyMirrorOptions {
  /** The copy goes by HTTP/2. */
  readonly http2?: boolean;
  readonly manager?: EnvoyMessage;
}

export async function startMirroringEnvoy(
  path: string,
  { originPort, mirrorPort }: MirrorPlan,
  { http2 = false, manager = {} }: EnvoyMirrorOptions = {},
): Promise<MirrorSender> {
  const [port, adminPort] = [await freePort(), await freePort()];
  const policy = {
    cluster: 'receiver',
    runtime_fraction: { default_value: { numerator: 100 } },
  };
  const config = envoyConfig({
    ...{ httpPort: port, adminPort, originPort, manager },
    route: { route: { request_mirror_policies: [policy] } },
  });
  const resources = config['static_resources'] as { readonly clusters: readonly EnvoyMessage[] };
  const address = { socket_address: { address: '127.0.0.1', port_value: mirrorPort } };
  const receiver = {
    ...{ name: 'receiver', type: 'STATIC', connect_timeout: '5s' },
    load_assignment: { cluster_name: 'receiver', endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }] },
    ...(http2 ? { typed_extension_protocol_options: http2Options } : {}),
  };
  const whole = {
    ...config,
    static_resources: { ...resources, clusters: [...resources.clusters, receiver] },
  };
  const envoy = await startEnvoy({ binary: path, adminPort, config: whole });
  return {
    port,
    pid: envoy.pid,
    report: () => envoy.report(),
    stop: () => envoy.stop(),
  };
}

const http2Options = {
  'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
    '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
    explicit_http_config: { http2_protocol_options: {} },
  },
};

/** A kind of sender, and how to start it. */
export interface SenderKind {
  readonly name: string;
  readonly program: 'nginx' | 'envoy' | 'traefik';
  start(plan: MirrorPlan): Promise<MirrorSender>;
}

/** `describe` once for each sender; one that is not to be had is a skipped test with the reason. */
export function describeEachSender(title: string, body: (sender: SenderKind) => void): void {
  describeSenders(title, inject('senderBinaries'), [false, true], body);
}

/** The same with one version of each program, by HTTP/1: for tests that take their time. */
export function describeOneSenderEach(title: string, body: (sender: SenderKind) => void): void {
  const newest = new Map(inject('senderBinaries').map((binary) => [binary.program, binary]));
  describeSenders(title, [...newest.values()], [false], body);
}

function describeSenders(
  title: string,
  binaries: readonly SenderBinary[],
  envoySpeaksHttp2: readonly boolean[],
  body: (sender: SenderKind) => void,
): void {
  for (const binary of binaries) {
    describeSender(title, `${binary.program} ${binary.branch}`, binary, () => {
      if (binary.kind === 'missing') return;
      const { program, path, branch } = binary;
      const start = (plan: MirrorPlan) =>
        program === 'nginx' ? startNginx(path, plan) : startTraefik(path, plan);
      body({ name: `${program} ${branch}`, program, start });
    });
  }
  const envoy = newestEnvoy();
  for (const http2 of envoySpeaksHttp2) {
    const name = `Envoy ${envoy.version}${http2 ? ' by HTTP/2' : ''}`;
    describeSender(title, name, envoy, () => {
      if (envoy.kind === 'missing') return;
      const { path } = envoy;
      body({ name, program: 'envoy', start: (plan) => startMirroringEnvoy(path, plan, { http2 }) });
    });
  }
}

export function newestEnvoy(): EnvoyBinary {
  const binaries = inject('envoyBinaries');
  const found = binaries.findLast(({ kind }) => kind === 'found') ?? binaries.at(-1);
  if (found === undefined) throw new Error('no version of Envoy is wanted');
  return found;
}

/** A binary by program and branch, when it is to be had. */
export function senderPath(program: 'nginx' | 'traefik', branch: string): string | undefined {
  const binary = inject('senderBinaries').find((one) => one.program === program && one.branch === branch);
  return binary?.kind === 'found' ? binary.path : undefined;
}

function describeSender(
  title: string,
  name: string,
  binary: { readonly kind: 'found' } | { readonly kind: 'missing'; readonly reason: string },
  body: () => void,
): void {
  describe(`${title}, ${name}`, () => {
    if (binary.kind === 'found') body();
    else it('is not tested here', (context) => context.skip(binary.reason));
  });
}
