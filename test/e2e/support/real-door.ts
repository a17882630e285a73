// A door of the built daemon behind a real proxy, as the door suite drives it: a client over HTTP/1.1, a scripted origin,
// a policy folder for the switch. What is the proxy's own is in a plan.
import { mkdtempSync, rmSync, unlinkSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import type {
  Ability,
  DoorDriver,
  Exchange,
  Headers,
  OpenExchange,
  Outcome,
} from '../../adapters/door-driver.ts';
import { piecesOf } from '../../adapters/scripted-proxy.ts';
import { bodyLimitBytes, writeSuiteRules } from '../../adapters/suite-rules.ts';
import { type Daemon, startDaemon } from './daemon.ts';
import { Http1Connection, requestBytes } from './http-client.ts';
import { switchFile } from './policy-cases.ts';
import { put } from './policy-files.ts';
import { exchangeHeader, ScriptedOrigin } from './scripted-origin.ts';

export interface RealProxy {
  readonly httpPort: number;
  report(): string;
  stop(): Promise<void>;
}

export interface RealDoorPlan {
  readonly door: string;
  readonly daemonEnv?: Readonly<Record<string, string>>;
  /** The port of the door itself, for hostile bytes. */
  readonly portOf: (daemon: Daemon) => number;
  readonly startProxy: (daemon: Daemon, originPort: number) => Promise<RealProxy>;
  readonly blocks: Ability;
  readonly seesResponses: Ability;
  readonly headComesFirst: Ability;
  readonly tellsAborts: Ability;
  /** Headers by which the proxy knows requests of an application that only reports. */
  readonly applicationThatReports: Ability<Headers>;
}

/** Between two pieces, so that they are not read as one. */
const pauseMs = 20;

export async function startRealDoor(plan: RealDoorPlan): Promise<DoorDriver> {
  const rules = writeSuiteRules();
  const folder = mkdtempSync(join(tmpdir(), 'appsec-edge-door-policy-'));
  const origin = new ScriptedOrigin();
  const originPort = await origin.listen();
  const daemon = await startDaemon({
    env: {
      ...{ DD_APPSEC_RULES: rules.path, DD_APPSEC_BODY_PARSING_SIZE_LIMIT: String(bodyLimitBytes) },
      ...{ APPSEC_EDGE_POLICY_FOLDER: folder, DD_APPSEC_WAF_TIMEOUT: '5s' },
      ...{ APPSEC_EDGE_ENGINE_THREADS: '2', APPSEC_EDGE_SHUTDOWN_GRACE: '5s' },
      NODE_OPTIONS: `--require ${join(import.meta.dirname, 'faulty-threads.cjs')}`,
      ...plan.daemonEnv,
    },
  });
  const proxy = await plan.startProxy(daemon, originPort);
  return new RealDoor(plan, { daemon, proxy, origin, folder }, async () => {
    await proxy.stop();
    await daemon.stop('SIGKILL');
    await origin.stop();
    rules.remove();
    rmSync(folder, { recursive: true, force: true });
  });
}

interface Parts {
  readonly daemon: Daemon;
  readonly proxy: RealProxy;
  readonly origin: ScriptedOrigin;
  readonly folder: string;
}

class RealDoor implements DoorDriver {
  readonly door: string;
  readonly blocks: Ability;
  readonly seesResponses: Ability;
  readonly headComesFirst: Ability;
  readonly tellsAborts: Ability;
  readonly namesApplications: Ability;
  readonly vouchesForClients: Ability = { cannot: 'this proxy says who is connected to it, and no more' };
  readonly sheds: Ability;
  readonly peerAddress = '127.0.0.1';
  /** See faulty-threads.cjs. */
  readonly mistakes = { can: { 'over the head': { headers: { 'x-forwarded-for': 'a-mistake-of-ours' } } } };
  readonly hostileBytes = { can: (bytes: Buffer): Promise<void> => this.#sendBytes(bytes) };
  readonly disorder = { cannot: 'a real proxy sends the messages of a transaction in their order' };
  readonly stop: () => Promise<void>;
  readonly #plan: RealDoorPlan;
  readonly #parts: Parts;
  #exchanges = 0;
  #switches = 0;
  #switchedOff: string | undefined;

  constructor(plan: RealDoorPlan, parts: Parts, stop: () => Promise<void>) {
    this.door = plan.door;
    this.blocks = plan.blocks;
    this.seesResponses = plan.seesResponses;
    this.headComesFirst = plan.headComesFirst;
    this.tellsAborts = plan.tellsAborts;
    this.sheds =
      'can' in plan.blocks ? plan.blocks : { cannot: 'it is answered before the analysis, which has time' };
    this.namesApplications =
      'can' in plan.applicationThatReports ? { can: true } : plan.applicationThatReports;
    this.#plan = plan;
    this.#parts = parts;
    this.stop = stop;
  }

  async open(exchange: Exchange): Promise<OpenExchange> {
    const { origin, proxy } = this.#parts;
    this.#exchanges += 1;
    const id = String(this.#exchanges);
    origin.expect(id, exchange);
    const { applicationThatReports: application } = this.#plan;
    const ofApplication = exchange.reportOnly === true && 'can' in application ? application.can : {};
    const headers = { [exchangeHeader]: id, ...exchange.headers, ...ofApplication };
    return new RealExchange(new Http1Connection(proxy.httpPort), origin, id, { ...exchange, headers });
  }

  async metricsText(): Promise<string> {
    return (await this.#parts.daemon.health('/metrics')).body;
  }

  securityEvents(): ReturnType<DoorDriver['securityEvents']> {
    return this.#parts.daemon.securityEvents('');
  }

  /** By a file as it comes from the console: see docs/policy.md. */
  async setInspection(on: boolean): Promise<void> {
    const { daemon, folder } = this.#parts;
    const said = (file: string, what: string): Promise<string> =>
      daemon.log.waitFor(new RegExp(`"file":"${file}".*policy file ${what}`), 15_000);
    if (!on) {
      this.#switches += 1;
      this.#switchedOff = put(folder, `switch-${this.#switches}.json`, switchFile(false).content);
      await said(this.#switchedOff, 'in effect');
    } else if (this.#switchedOff !== undefined) {
      unlinkSync(this.#switchedOff);
      await said(this.#switchedOff, 'removed');
      this.#switchedOff = undefined;
    }
  }

  drain(): ReturnType<DoorDriver['drain']> {
    const { daemon } = this.#parts;
    daemon.signal('SIGTERM');
    const over = async (): Promise<number> => {
      await expect.poll(() => daemon.running, { timeout: 30_000, interval: 50 }).toBe(false);
      return (await daemon.stop()) ?? Number.NaN;
    };
    return { begun: daemon.log.waitFor(/"msg":"draining"/).then(() => undefined), over: over() };
  }

  report(): string {
    const { daemon, proxy } = this.#parts;
    return ['--- proxy', proxy.report(), '--- daemon', ...daemon.log.lines.slice(-100)].join('\n');
  }

  #sendBytes(bytes: Buffer): Promise<void> {
    return new Promise((resolve) => {
      const socket = connect(this.#plan.portOf(this.#parts.daemon), '127.0.0.1');
      socket.once('close', () => resolve()).on('error', () => undefined);
      socket.resume().end(bytes);
    });
  }
}

class RealExchange implements OpenExchange {
  readonly #connection: Http1Connection;
  readonly #origin: ScriptedOrigin;
  readonly #id: string;
  readonly #method: string;
  readonly #pieces: Buffer[];

  constructor(connection: Http1Connection, origin: ScriptedOrigin, id: string, exchange: Exchange) {
    const { method = 'GET', target, headers = {} } = exchange;
    this.#connection = connection;
    this.#origin = origin;
    this.#id = id;
    this.#method = method;
    this.#pieces = piecesOf(exchange);
    const { length } = Buffer.concat(this.#pieces);
    const framing = this.#pieces.length === 0 ? {} : { 'content-length': String(length) };
    connection.write(requestBytes({ method, target, headers: { ...framing, ...headers } }));
  }

  async piece(): Promise<void> {
    const piece = this.#pieces.shift();
    if (piece === undefined) return;
    this.#connection.write(piece);
    if (this.#pieces.length > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }

  async finish(): Promise<Outcome> {
    while (this.#pieces.length > 0) await this.piece();
    try {
      const { status, body } = await this.#connection.response(this.#method);
      return { status, body, received: this.#origin.received(this.#id) };
    } finally {
      this.#connection.close();
    }
  }

  async abort(): Promise<void> {
    this.#connection.close();
    this.#origin.release(this.#id);
  }
}
