#!/usr/bin/env node
import { createProgram } from './cli/program.ts';
import { ConfigError, StartError } from './config/errors.ts';
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
 */
import { RulesetError } from './engine/waf/waf.ts';

/** A value that is not allowed. */
const exitUsage = 2;
/** Everything else that keeps us from starting. */
const exitFailure = 1;

try {
  await createProgram().parseAsync();
} catch (cause) {
  if (cause instanceof ConfigError) fail(cause.message, exitUsage);
  else if (cause instanceof StartError || cause instanceof RulesetError) fail(cause.message, exitFailure);
  else throw cause;
}

function fail(message: string, code: number): never {
  process.stderr.write(`appsec-edge: ${message}\n`);
  process.exit(code);
}
