/*
 * What an engine thread runs. It has an engine of its own, with its own WAF, its own transactions and its own dd-trace;
 * limits that hold for the whole process are shared memory. Its log lines and its metrics go to the I/O thread.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { guardLibddwaf } from '../engine/waf/libddwaf.ts';
import { createLogger } from '../ops/log.ts';
import { Metrics } from '../ops/metrics.ts';
import type { ThreadData } from '../workers/engine-thread.ts';
import { readyMessage } from '../workers/engine-threads.ts';
import { JobLoop } from '../workers/job-loop.ts';
import { NativeGate } from '../workers/native-gate.ts';
import { createBlockPages, createWaf } from './engine-files.ts';
import { createEngineInstance } from './engine-instance.ts';
import { doorsOf } from './settings.ts';
import type { EngineThreadData, FromThread, ToThread } from './thread-messages.ts';

if (parentPort === null) throw new Error('engine-thread-main.ts is the entry of a worker thread');
const port = parentPort;
const tell = (message: FromThread): void => port.postMessage(message);

const { index, channel, data } = workerData as ThreadData<EngineThreadData>;
const { config } = data;

const gate = new NativeGate(channel, () => process.exit());
guardLibddwaf(gate.guard);
// Until it is ready: dd-trace loads native code of its own.
gate.enter();

const logger = createLogger(config.logLevel, { write: (line) => tell({ kind: 'log', line }) });
const metrics = new Metrics({ ofProcess: false });
const { waf, configs } = createWaf(config, data);
configs.apply({ removed: [], added: data.configs });
const open = doorsOf(config.doors);
const pages = createBlockPages(config, data, open);
const { engine, handlers, drain } = await createEngineInstance({
  config,
  waf,
  pages,
  open,
  owner: { instance: data.instance, thread: index },
  maxLiveTransactions: data.maxLiveTransactions,
  limits: data.limits,
  logger,
  metrics,
  remoteConfigClientId: data.remoteConfigClientId,
});
engine.enabled = data.enabled;

const loop = new JobLoop(channel, port, handlers, () => engine.liveTransactions);
port.on('message', (message: 0 | ToThread) => {
  if (message === 0) loop.wake();
  else
    handleMessage(message).catch((cause: unknown) =>
      logger.error({ err: cause }, 'an engine thread failed to apply a command'),
    );
});
gate.leave();
port.postMessage(readyMessage);
loop.wake();

async function handleMessage(message: ToThread): Promise<void> {
  switch (message.kind) {
    case 'policy':
      configs.apply(message.change);
      break;
    case 'enabled':
      engine.enabled = message.value;
      break;
    case 'pages':
      pages.replace(message.files.pages, message.files.servicePages);
      break;
    case 'metrics':
      tell({ kind: 'metrics', request: message.request, metrics: await metrics.registry.getMetricsAsJSON() });
      break;
    case 'drain':
      await drain();
      tell({ kind: 'drained' });
      break;
  }
}
