import { type ExtProcConfig, extProcSettings } from './adapters/ext-proc/settings.ts';
import { messageKinds } from './adapters/ext-proc/wire/kinds.ts';
import { messageNames } from './adapters/haproxy/contract.ts';
import { checkBlockPages } from './adapters/haproxy/rewriting-room.ts';
import { type HaproxyConfig, haproxySettings } from './adapters/haproxy/settings.ts';
import type { DoorDefinition } from './daemon/door.ts';

/*
 * The one list of doors: settings, commands, `--help` and the engines' handlers are made from it. A new door is a row
 * here and a folder beside adapters/haproxy/.
 */

const haproxy: DoorDefinition<HaproxyConfig> & { readonly settings: typeof haproxySettings } = {
  command: 'spoa',
  summary: "Run with HAProxy's door only: an SPOE agent (SPOA).",
  settings: haproxySettings,
  healthHost: ({ host }) => ({ host, variable: haproxySettings.host.env }),
  checkBlockPages: ({ maxFrameSizeBytes }, bytes) => checkBlockPages(maxFrameSizeBytes, bytes),
  traits: ({ observabilityMode }) => ({
    name: 'haproxy',
    component: 'haproxy-spoa',
    defaultService: 'spoa',
    reportOnly: observabilityMode,
    seesResponses: true,
  }),
  messages: Object.values(messageNames),
  load: () => import('./adapters/haproxy/door.ts'),
  loadHandler: () => import('./adapters/haproxy/handler.ts'),
};

const extProc: DoorDefinition<ExtProcConfig> & { readonly settings: typeof extProcSettings } = {
  command: 'ext-proc',
  summary:
    'Inspect traffic for Envoy as an external processor (ext_proc), also for Istio, Envoy Gateway and Google Cloud.',
  settings: extProcSettings,
  processAliases: { healthcheckPort: 'DD_SERVICE_EXTENSION_HEALTHCHECK_PORT' },
  processDefaults: { healthcheckPort: '80' },
  healthHost: ({ extProcHost }) => ({ host: extProcHost, variable: extProcSettings.extProcHost.env }),
  traits: ({ extProcObservabilityMode }) => ({
    name: 'ext-proc',
    component: 'envoy',
    defaultService: 'serviceextensions',
    reportOnly: extProcObservabilityMode,
    seesResponses: true,
  }),
  messages: messageKinds,
  load: () => import('./adapters/ext-proc/door.ts'),
  loadHandler: () => import('./adapters/ext-proc/handler.ts'),
};

export const doors = { haproxy, 'ext-proc': extProc } as const;

/** Settings of all doors. */
export const doorSettings = { ...haproxy.settings, ...extProc.settings };

export type DoorName = keyof typeof doors;
export const doorNames = Object.keys(doors) as DoorName[];
