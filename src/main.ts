#!/usr/bin/env node
import { neededNode, nodeVersionProblem } from './cli/node-version.ts';

/*
 * Start here. The path of a request:
 *
 *   net/                 sockets: listening, TLS, access control
 *   spop/                the bytes of a HAProxy connection to frames, and back
 *   adapters/haproxy/    HAProxy's door: the server; messages to HTTP values; verdicts to HAProxy variables
 *   workers/             engine threads: distributing jobs, and moving bytes there and back
 *   engine/              a transaction: HTTP values in, a verdict out; waf/ runs libddwaf, body/ reads bodies
 *   policy/              rules and lists that change at run time
 *   datadog/             spans and Remote Config
 *   ops/                 health, metrics, log
 *
 * Around it: config/ says what a setting is, doors.ts lists the doors, daemon/ is the running process, cli/ the commands.
 *
 * docs/architecture.md explains the design, and what each folder may import.
 *
 * On a Node.js that is too old, the program must at least print a message. Node.js parses this file and cli/node-version.ts as
 * a whole before it runs them, so they only use syntax that Node 12 supports; everything else is imported after the version
 * check.
 */

const problem = nodeVersionProblem(neededNode, process.versions.node, process.execPath);

if (problem === undefined) {
  import('./cli/command-line.ts').then(({ runCommandLine }) => runCommandLine());
} else {
  process.stderr.write(`appsec-edge: ${problem}\n`);
  process.exitCode = 1;
}
