#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { nodeVersionProblem } from './cli/node-version.ts';

/*
 * Start here. The way of one request through this house:
 *
 *   spop/                bytes of a HAProxy connection to frames, and back
 *   adapters/haproxy/    the server; messages to HTTP values; verdicts to variables of HAProxy
 *   workers/             engine threads: who does what, how bytes get there and back
 *   engine/              a transaction: HTTP values in, a verdict out; waf/ asks libddwaf, body/ reads bodies
 *   datadog/             what a transaction leaves in Datadog: spans
 *   ops/                 what operators see: health, metrics, log
 *   cli/                 the commands, and the one table of settings
 *
 * docs/architecture.md says what may import what, and why.
 *
 * A Node.js that is too old must get as far as saying so. It reads this file and cli/node-version.ts whole before it runs
 * a line of them: they keep to syntax that Node 12 knows, and everything else is imported once the version is known
 * to be good.
 */

/** Stands beside src/ and dist/ alike. */
const packageFile = new URL('../package.json', import.meta.url);
const { engines } = JSON.parse(readFileSync(packageFile, 'utf8')) as { engines: { node: string } };
const problem = nodeVersionProblem(engines.node, process.versions.node, process.execPath);

if (problem === undefined) {
  import('./cli/command-line.ts').then(({ runCommandLine }) => runCommandLine());
} else {
  process.stderr.write(`appsec-edge: ${problem}\n`);
  process.exitCode = 1;
}
