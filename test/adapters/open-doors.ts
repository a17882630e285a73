import { randomBytes } from 'node:crypto';
import { readConfig } from '../../src/config/read-config.ts';
import type { Door, DoorDefinition } from '../../src/daemon/door.ts';
import { createWaf, readEngineFiles } from '../../src/daemon/engine-files.ts';
import { metricsOf } from '../../src/daemon/engine-instance.ts';
import type { Engines } from '../../src/daemon/engines.ts';
import { startInline } from '../../src/daemon/inline-engines.ts';
import { type AnyDoor, type Config, settings } from '../../src/daemon/settings.ts';
import { createLogger } from '../../src/ops/log.ts';
import { Metrics } from '../../src/ops/metrics.ts';
import { Dispatcher } from '../../src/workers/dispatcher.ts';
import type { SecurityEvent } from './door-driver.ts';
import { type MemoryConfig, memorySettings } from './memory/settings.ts';
import { bodyLimitBytes, writeSuiteRules } from './suite-rules.ts';

/** A row of src/doors.ts, for a process that has the in-memory door besides. */
export type Row = DoorDefinition<Config & MemoryConfig>;

/** The row that makes the in-memory door one of the process's: what src/doors.ts would say of it. */
export const memoryRow: Row = {
  command: 'memory',
  summary: 'Answer clients in the same process.',
  settings: memorySettings,
  healthHost: () => ({ host: '127.0.0.1', variable: 'MEMORY_HOST' }),
  traits: () => ({
    ...{ name: 'memory', component: 'memory', defaultService: 'memory' },
    ...{ reportOnly: false, seesResponses: true },
  }),
  messages: ['request', 'request-body', 'response', 'response-body', 'end'],
  load: () => import('./memory/door.ts'),
  loadHandler: () => import('./memory/handler.ts'),
};

/** The same for copies of requests. */
export const mirrorRow: Row = {
  ...memoryRow,
  traits: (config) => ({
    ...memoryRow.traits(config),
    name: 'mirror',
    reportOnly: true,
    seesResponses: false,
  }),
};

/** Doors that are open in this process, as `run` of src/daemon/run.ts opens them, with one engine. */
export interface OpenDoors {
  readonly engines: Engines;
  readonly doors: readonly Door[];
  /** Where each listens. */
  readonly addresses: readonly string[];
  readonly instance: string;
  securityEvents(): SecurityEvent[];
  metricsText(): Promise<string>;
  report(): string;
  /** Resolves with the transactions that are left. */
  drain(): Promise<number>;
}

/** @param environment wins over what the suite sets. */
export async function openDoors(
  open: readonly Row[],
  environment: Readonly<Record<string, string>> = {},
): Promise<OpenDoors> {
  const rules = writeSuiteRules();
  const config = readConfig(
    { ...settings, ...memorySettings },
    {},
    {
      ...{ DD_APPSEC_RULES: rules.path, DD_APPSEC_BODY_PARSING_SIZE_LIMIT: String(bodyLimitBytes) },
      ...{ DD_APPSEC_WAF_TIMEOUT: '5s', DD_APPSEC_TRACE_RATE_LIMIT: '100000', DD_TRACE_ENABLED: 'false' },
      ...{ DD_HAPROXY_SPOA_HOST: '127.0.0.1', DD_HAPROXY_SPOA_PORT: '0', MEMORY_TIMEOUT: '2s' },
      ...{ DD_HAPROXY_SPOA_PROCESSING_TIMEOUT: '3s' },
      ...environment,
    },
  );
  const lines: string[] = [];
  const destination = { write: (line: string): number => lines.push(line), lost: 0 };
  const logger = createLogger('info', destination);
  const metrics = new Metrics({ ofProcess: false });
  const instance = randomBytes(8).toString('hex');
  const files = readEngineFiles(config);
  const shared = {
    config,
    open: open as readonly AnyDoor[],
    files,
    loaded: createWaf(config, files),
    instance,
  };
  const engines = await startInline({
    ...shared,
    logger,
    destination,
    metrics,
    remoteConfigClientId: undefined,
  });
  rules.remove();
  metrics.gauge('transactions_live', 'Transactions waiting for a message.', () => engines.liveTransactions);
  const doors = await Promise.all(
    open.map(async (row, number) => {
      const { createDoor } = await row.load();
      const mine = metricsOf(metrics, row as AnyDoor, config);
      return createDoor(config, {
        ...{ engines: new Dispatcher(engines.jobs, number), instance, logger, metrics: mine, takenPorts: [] },
      });
    }),
  );
  const places = await Promise.all(doors.map((door) => door.listen()));
  return {
    engines,
    doors,
    addresses: places.map(({ address }) => address),
    instance,
    securityEvents: () =>
      lines
        .filter((line) => line.includes('"event":"security"'))
        .map((line) => JSON.parse(line) as SecurityEvent),
    metricsText: () => engines.metricsText(),
    report: () => lines.slice(-100).join(''),
    async drain() {
      await Promise.all(doors.map((door) => door.drain(0, 10_000)));
      await engines.drain();
      return engines.liveTransactions;
    },
  };
}
