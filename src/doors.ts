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

export const doors = { haproxy } as const;

/** Settings of all doors. */
export const doorSettings = { ...doors.haproxy.settings };

export type DoorName = keyof typeof doors;
export const doorNames = Object.keys(doors) as DoorName[];
