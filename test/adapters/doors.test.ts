// The doors of which no real proxy is needed to speak to: the in-memory door, as one that blocks and as a mirror, and
// HAProxy's and Envoy's behind a scripted proxy. test/e2e/door-suite.test.ts has those behind real proxies.
import { describe } from 'vitest';
import { itOwesWhatDoorsOwe } from './door-suite.ts';
import { startExtProcDriver } from './ext-proc-driver.ts';
import { startHaproxyDriver } from './haproxy-driver.ts';
import { startMemoryDriver, startMirrorDriver } from './memory-driver.ts';
import { startReceiverDriver } from './mirror-driver.ts';

describe('the in-memory door', () => itOwesWhatDoorsOwe(startMemoryDriver));
describe('the in-memory door as a mirror', () => itOwesWhatDoorsOwe(startMirrorDriver));
describe("HAProxy's door behind a scripted HAProxy", () => itOwesWhatDoorsOwe(startHaproxyDriver));
describe.each(['collected', 'in pieces'] as const)(
  "Envoy's door behind a scripted Envoy, bodies %s",
  (delivery) => itOwesWhatDoorsOwe(() => startExtProcDriver(delivery)),
);

describe('the door for mirrored requests', () => itOwesWhatDoorsOwe(startReceiverDriver));
