import { createHash } from 'node:crypto';
import { messageOf } from '../../message-of.ts';

/*
 * The answer of the Agent's /v0.7/config: an index of files (`targets`, TUF's format, base64), the files that changed,
 * and the paths that apply to this client. Signatures are the Agent's business; hashes and lengths are ours.
 */

/** What the index says about a file. */
export interface TargetFile {
  readonly path: string;
  readonly product: string;
  readonly configId: string;
  readonly version: number;
  readonly length: number;
  /** Hexadecimal digests by algorithm; always with sha256. */
  readonly hashes: Readonly<Record<string, string>>;
}

export interface NewTargetFile extends TargetFile {
  readonly raw: Buffer;
}

/** The difference between what is applied and the answer. */
export interface TargetsUpdate {
  readonly targetsVersion: number;
  readonly backendState: string;
  readonly removed: readonly string[];
  readonly added: readonly NewTargetFile[];
  /** Same content as before, newer index entry. */
  readonly renewed: readonly TargetFile[];
  /** Paths in an unknown format, or of a product that was not requested. */
  readonly ignored: readonly string[];
}

/** The answer is inconsistent or unreadable: nothing of it is applied, and the error is reported to the Agent. */
export class RepositoryError extends Error {
  override readonly name = 'RepositoryError';
}

/** `datadog/<org>/<PRODUCT>/<config id>/<name>` or `employee/<PRODUCT>/<config id>/<name>`. */
const pathForm = /^(?:datadog\/\d+|employee)\/([^/]+)\/([^/]+)\/[^/]+$/;

/**
 * @param applied what is in effect, by path.
 * @returns undefined when the answer says that nothing changed.
 * @throws RepositoryError
 */
export function readTargets(
  body: string,
  applied: ReadonlyMap<string, TargetFile>,
  products: ReadonlySet<string>,
): TargetsUpdate | undefined {
  const answer = parseJson(body.trim() === '' ? '{}' : body, 'answer');
  const encodedTargets = recordOrEmpty(answer)['targets'];
  if (typeof encodedTargets !== 'string' || encodedTargets === '') return undefined;
  const signed = record(
    record(parseJson(fromBase64(encodedTargets).toString('utf8'), 'targets'), 'targets')['signed'],
    'signed',
  );
  const index = record(signed['targets'] ?? {}, 'signed.targets');
  const files = filesByPath(recordOrEmpty(answer)['target_files']);
  const wanted = recordOrEmpty(answer)['client_configs'] ?? [];
  if (!Array.isArray(wanted)) throw new RepositoryError('client_configs is not a list');

  const added: NewTargetFile[] = [];
  const renewed: TargetFile[] = [];
  const ignored: string[] = [];
  const kept = new Set<string>();
  for (const path of wanted as unknown[]) {
    const parts = typeof path === 'string' ? pathForm.exec(path) : null;
    const product = parts?.[1];
    const configId = parts?.[2];
    if (
      typeof path !== 'string' ||
      product === undefined ||
      configId === undefined ||
      !products.has(product)
    ) {
      ignored.push(String(path));
      continue;
    }
    kept.add(path);
    const target = describeTarget(path, product, configId, index[path]);
    if (applied.get(path)?.hashes['sha256'] === target.hashes['sha256']) renewed.push(target);
    else added.push({ ...target, raw: checkedFile(target, files.get(path)) });
  }
  return {
    targetsVersion: integer(signed['version'], 'signed.version'),
    backendState: backendStateOf(signed),
    removed: [...applied.keys()].filter((path) => !kept.has(path)),
    added,
    renewed,
    ignored,
  };
}

function describeTarget(path: string, product: string, configId: string, entry: unknown): TargetFile {
  if (entry === undefined) throw new RepositoryError(`${path} applies to this client but is not in targets`);
  const target = record(entry, path);
  const hashes = record(target['hashes'], `hashes of ${path}`);
  const sha256 = hashes['sha256'];
  if (typeof sha256 !== 'string') throw new RepositoryError(`${path} has no sha256 hash`);
  const texts = Object.entries(hashes).filter(
    (hash): hash is [string, string] => typeof hash[1] === 'string',
  );
  return {
    path,
    product,
    configId,
    version: integer(recordOrEmpty(target['custom'])['v'] ?? 0, `version of ${path}`),
    length: integer(target['length'], `length of ${path}`),
    hashes: { ...Object.fromEntries(texts), sha256: sha256.toLowerCase() },
  };
}

function checkedFile(target: TargetFile, raw: Buffer | undefined): Buffer {
  if (raw === undefined) throw new RepositoryError(`${target.path} is new but not in target_files`);
  if (raw.length !== target.length) {
    throw new RepositoryError(`${target.path} has ${raw.length} bytes, targets say ${target.length}`);
  }
  const digest = createHash('sha256').update(raw).digest('hex');
  if (digest !== target.hashes['sha256']) {
    throw new RepositoryError(`${target.path} has sha256 ${digest}, targets say ${target.hashes['sha256']}`);
  }
  return raw;
}

function filesByPath(value: unknown): Map<string, Buffer> {
  const files = new Map<string, Buffer>();
  if (!Array.isArray(value)) return files;
  for (const entry of value as unknown[]) {
    const { path, raw } = recordOrEmpty(entry);
    if (typeof path === 'string' && typeof raw === 'string') files.set(path, fromBase64(raw));
  }
  return files;
}

function backendStateOf(signed: Readonly<Record<string, unknown>>): string {
  const state = recordOrEmpty(signed['custom'])['opaque_backend_state'];
  return typeof state === 'string' ? state : '';
}

function parseJson(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new RepositoryError(`${what} is not JSON: ${messageOf(cause)}`);
  }
}

function fromBase64(text: string): Buffer {
  return Buffer.from(text, 'base64');
}

function record(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new RepositoryError(`${what} is not an object`);
  }
  return value as Record<string, unknown>;
}

function recordOrEmpty(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function integer(value: unknown, what: string): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value))
    throw new RepositoryError(`${what} is not an integer`);
  return value;
}
