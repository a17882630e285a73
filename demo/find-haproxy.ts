// A HAProxy for the demo: the installed one, else one from the cache of the tests, else the distribution's package.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';
import { anyHaproxy } from '../tools/haproxy-binaries.ts';
import type { FoundProxy } from './door.ts';

const run = promisify(execFile);
const oldest = [2, 6] as const;

/** @param say told before anything that takes long or changes the machine */
export async function findHaproxy(say: (line: string) => void): Promise<FoundProxy> {
  let found = await anyHaproxy();
  if ('reason' in found && process.getuid?.() === 0 && existsSync('/usr/bin/apt-get')) {
    say(
      'HAProxy is not installed: installing the package of this distribution (apt-get install haproxy) ...',
    );
    const failure = await install();
    found = failure === undefined ? await anyHaproxy() : { reason: `${found.reason}; ${failure}` };
  }
  return 'reason' in found
    ? { reason: `${found.reason.replaceAll('; ', '\n  ')}.\n${advice}` }
    : usable(found);
}

const advice =
  'The demo needs HAProxy 2.6 or later with Lua. Install it (apt-get install haproxy, brew install haproxy) ' +
  'and run the demo again.';

/** @returns why it is not installed now, undefined when it is */
async function install(): Promise<string | undefined> {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  try {
    await run('apt-get', ['-qq', 'update'], { env });
    await run('apt-get', ['-qq', 'install', '--yes', '--no-install-recommends', 'haproxy'], { env });
    return undefined;
  } catch (cause) {
    const lines = cause instanceof Error ? cause.message.trim().split('\n') : [];
    return `apt-get could not install it: ${lines.at(-1) ?? String(cause)}`;
  }
}

async function usable(found: { readonly path: string; readonly version: string }): Promise<FoundProxy> {
  const [major = 0, minor = 0] = found.version.split('.').map(Number);
  if (major < oldest[0] || (major === oldest[0] && minor < oldest[1])) {
    return { reason: `${found.path} is HAProxy ${found.version}.\n${advice}` };
  }
  const { stdout } = await run(found.path, ['-vv']);
  if (!stdout.includes('Built with Lua')) {
    return { reason: `${found.path} (HAProxy ${found.version}) was built without Lua.\n${advice}` };
  }
  return found;
}
