import { ConfigError } from '../../config/errors.ts';
import type { SourceFile } from './parse.ts';

/** Whose configuration a file is. */
export type ProxyKind = 'haproxy' | 'envoy';

/** YAML and JSON are Envoy's, whatever the file is called; HAProxy's language is neither. */
function kindOf({ path, text }: SourceFile): ProxyKind {
  if (/\.(ya?ml|json)$/i.test(path)) return 'envoy';
  if (/\.cfg$/i.test(path)) return 'haproxy';
  const first = text.split('\n').find((line) => line.trim() !== '' && !/^\s*#/.test(line)) ?? '';
  return /^(---|\{|["']?@?[A-Za-z_]+["']?:(\s|$))/.test(first.trim()) ? 'envoy' : 'haproxy';
}

/** @throws ConfigError for files of both */
export function kindOfFiles(files: readonly SourceFile[]): ProxyKind {
  const [first, ...others] = files.map((file) => ({ path: file.path, kind: kindOf(file) }));
  const other = others.find(({ kind }) => kind !== first?.kind);
  if (first !== undefined && other !== undefined) {
    throw new ConfigError(
      `${first.path} is ${names[first.kind]} and ${other.path} is ${names[other.kind]}; check one of the two at a time`,
    );
  }
  return first?.kind ?? 'haproxy';
}

const names: Record<ProxyKind, string> = { haproxy: "HAProxy's", envoy: "Envoy's" };
