import { RulesetError } from '../engine/waf/waf.ts';
import { ConfigError } from './config.ts';
import { StartError } from './load-engine.ts';
import { createProgram } from './program.ts';

/** A value that is not allowed. */
const exitUsage = 2;
/** Everything else that keeps us from starting. */
const exitFailure = 1;

/** Does what the command line says. What a person can put right is said in a sentence, without a stack. */
export async function runCommandLine(): Promise<void> {
  try {
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
