import { haproxySettings } from './adapters/haproxy/settings.ts';

/** Settings of all doors. */
export const doorSettings = { ...haproxySettings };
