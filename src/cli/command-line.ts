import { ConfigError, StartError } from '../config/errors.ts';
import { RulesetError } from '../engine/waf/ruleset-error.ts';
import { quickHealthcheck } from './quick-healthcheck.ts';

/** A value that is not allowed. */
const exitUsage = 2;
/** Any other reason not to start. */
const exitFailure = 1;

/** Runs the command line. Errors that the user can fix are printed as one sentence, without a stack. */
export async function runCommandLine(): Promise<void> {
  try {
    if (await quickHealthcheck(process.argv.slice(2))) return;
    const { createProgram } = await import('./program.ts');
    await createProgram().parseAsync();
  } catch (cause) {
    if (cause instanceof ConfigError) fail(cause.message, exitUsage);
    else if (cause instanceof StartError || cause instanceof RulesetError) fail(cause.message, exitFailure);
    else throw cause;
  }
}

function fail(message: string, code: number): never {
  process.stderr.write(`appsec-edge: ${message}\n`);
  process.exit(code);
}
