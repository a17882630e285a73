import type { HandlerServices } from '../../daemon/door.ts';
import type { JobHandler } from '../../workers/jobs.ts';
import { observeHandler } from './observers.ts';
import { ProcessHandler } from './process-handler.ts';
import type { ExtProcConfig } from './settings.ts';

/** A stream that Envoy keeps open for so long is an upgrade, and has been let go of. */
const longestStreamMs = 3_600_000;

/** Settings of the process that count here. */
interface ProcessValues {
  readonly clientIpHeader: string | undefined;
  readonly maxLiveTransactions: number;
}

/** The engine side of the door. */
export function createHandler(config: ExtProcConfig & ProcessValues, services: HandlerServices): JobHandler {
  const { inspector, pages, logger, metrics } = services;
  const options = {
    inspector,
    pages,
    reportOnly: config.extProcObservabilityMode,
    clientIpHeader: config.clientIpHeader,
    timeToLiveMs: longestStreamMs,
    component: config.extProcComponent,
    isUnixSocket: config.extProcSocketPath !== undefined,
    inKubernetes: config.inKubernetes !== undefined,
    serviceFromRoute: config.extProcServiceFromRoute,
    maxStreams: config.maxLiveTransactions,
  };
  return new ProcessHandler(options, observeHandler(logger, metrics));
}
