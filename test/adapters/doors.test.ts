// The doors of which no real proxy is needed to speak to: the in-memory door, as one that blocks and as a mirror, and
// HAProxy's behind a scripted HAProxy. test/e2e/door-suite.test.ts has those behind real proxies.
import { describe } from 'vitest';
import { itOwesWhatDoorsOwe } from './door-suite.ts';
import { startHaproxyDriver } from './haproxy-driver.ts';
import { startMemoryDriver, startMirrorDriver } from './memory-driver.ts';
import { startReceiverDriver } from './mirror-driver.ts';

describe('the in-memory door', () => itOwesWhatDoorsOwe(startMemoryDriver));
describe('the in-memory door as a mirror', () => itOwesWhatDoorsOwe(startMirrorDriver));
describe("HAProxy's door behind a scripted HAProxy", () => itOwesWhatDoorsOwe(startHaproxyDriver));
describe('the door for mirrored requests', () => itOwesWhatDoorsOwe(startReceiverDriver));
