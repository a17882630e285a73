import { type ExtProcConfig, extProcSettings } from './adapters/ext-proc/settings.ts';
import { messageKinds } from './adapters/ext-proc/wire/kinds.ts';
import { messageNames } from './adapters/haproxy/contract.ts';
import { checkBlockPages } from './adapters/haproxy/rewriting-room.ts';
import { type HaproxyConfig, haproxySettings } from './adapters/haproxy/settings.ts';
import { messageName as mirrorMessage } from './adapters/mirror/messages.ts';
import { type MirrorDoorConfig, mirrorHealthHost, mirrorSettings } from './adapters/mirror/settings.ts';
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

const mirror: DoorDefinition<MirrorDoorConfig> & { readonly settings: typeof mirrorSettings } = {
  command: 'mirror',
  summary: 'Receive requests that NGINX, Envoy, Traefik or a Gateway API mirror, and report attacks in them.',
  settings: mirrorSettings,
  // Nobody is held back for a body, and nobody waits for the WAF.
  processDefaults: { bodyLimitBytes: '10000000', wafTimeoutUs: '100ms' },
  healthHost: mirrorHealthHost,
  traits: () => ({
    name: 'mirror',
    component: 'k8s.io/gateway-api',
    defaultService: 'request-mirror',
    reportOnly: true,
    seesResponses: false,
  }),
  nobodyWaits: true,
  messages: [mirrorMessage],
  load: () => import('./adapters/mirror/door.ts'),
  loadHandler: () => import('./adapters/mirror/handler.ts'),
};

export const doors = { haproxy, 'ext-proc': extProc, mirror } as const;

/** Settings of all doors. */
export const doorSettings = { ...haproxy.settings, ...extProc.settings, ...mirror.settings };

export type DoorName = keyof typeof doors;
export const doorNames = Object.keys(doors) as DoorName[];
