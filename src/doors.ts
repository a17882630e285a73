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

export const doors = { haproxy, mirror } as const;

/** Settings of all doors. */
export const doorSettings = { ...doors.haproxy.settings, ...doors.mirror.settings };

export type DoorName = keyof typeof doors;
export const doorNames = Object.keys(doors) as DoorName[];
