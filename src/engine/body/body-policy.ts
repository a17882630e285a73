import { type HeaderList, headerValue, headerValues } from '../http.ts';
import { isJsonType, readMediaType } from './media-type.ts';

/*
 * Which bodies are requested. A requested body costs time, because the proxy holds the message back until it has the body.
 * A body that is not requested is not inspected, so for requests, unclear cases are requested.
 */

/** Media types whose content is binary by definition: there is no text in them that an application would take. */
const binaryTopLevelTypes: ReadonlySet<string> = new Set(['image', 'video', 'audio', 'font']);
const binaryTypes: ReadonlySet<string> = new Set([
  'application/zip',
  'application/x-zip-compressed',
  'application/gzip',
  'application/x-gzip',
  'application/x-tar',
  'application/x-gtar',
  'application/x-7z-compressed',
  'application/x-rar-compressed',
  'application/vnd.rar',
  'application/x-bzip',
  'application/x-bzip2',
  'application/x-xz',
  'application/x-lzip',
  'application/zstd',
  'application/java-archive',
  'application/wasm',
  'application/vnd.ms-fontobject',
  'application/x-font-ttf',
  'application/x-font-woff',
]);

/**
 * Whether content of this type is binary by definition. Not so: SVG, which is XML; `application/octet-stream`, which
 * says nothing; PDF, which carries text.
 */
export function isBinaryType(essence: string): boolean {
  if (essence.endsWith('+xml') || essence.endsWith('+json')) return false;
  const slash = essence.indexOf('/');
  return (
    binaryTopLevelTypes.has(essence.slice(0, slash)) ||
    binaryTypes.has(essence) ||
    essence.endsWith('+zip') ||
    essence === 'application/grpc' ||
    essence.startsWith('application/grpc+')
  );
}

/** Methods whose requests have no body unless something says so. */
const bodylessMethods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'CONNECT']);

/**
 * Whether the engine will look at the body of this request.
 *
 * The method matters only where nothing else says whether there is a body. In HTTP/2 a body needs no Content-Length,
 * and proxies add no field that would tell: the body of such a request is requested if its method is made
 * for bodies or when it names a Content-Type.
 *
 * @param declaredSize size in bytes as the door learned it; 0 and undefined say nothing (a proxy's count of what it has buffered
 *   is 0 for an unknown size too)
 * @param limitBytes DD_APPSEC_BODY_PARSING_SIZE_LIMIT
 * @param method undefined when the door does not know it
 */
export function wantsRequestBody(
  headers: HeaderList,
  declaredSize: number | undefined,
  limitBytes: number,
  method?: string,
): boolean {
  if (limitBytes <= 0 || isBodyless(headers, declaredSize, method)) return false;
  const { essence } = readMediaType(headers);
  return essence === undefined || !isBinaryType(essence);
}

/** Whether the engine will look at the body of this response: JSON only. */
export function wantsResponseBody(
  headers: HeaderList,
  status: number,
  limitBytes: number,
  requestMethod: string | undefined,
): boolean {
  if (limitBytes <= 0 || requestMethod === 'HEAD') return false;
  if (status < 200 || status === 204 || status === 304) return false;
  const lengths = headerValues(headers, 'content-length');
  if (lengths.length > 0 && saysZero(lengths)) return false;
  return readMediaType(headers).essences.some(isJsonType);
}

/** Whether the request says that its body has a length other than 0. Transfer-Encoding says nothing of it. */
export function declaresBody(headers: HeaderList, declaredSize: number | undefined): boolean {
  if (declaredSize !== undefined && declaredSize > 0) return true;
  const lengths = headerValues(headers, 'content-length');
  return lengths.length > 0 && !saysZero(lengths);
}

/** RFC 9112, 6.3: in HTTP/1 a request has a body when Content-Length or Transfer-Encoding says so. */
function isBodyless(
  headers: HeaderList,
  declaredSize: number | undefined,
  method: string | undefined,
): boolean {
  if (declaredSize !== undefined && declaredSize > 0) return false;
  if (headerValue(headers, 'transfer-encoding') !== undefined) return false;
  const lengths = headerValues(headers, 'content-length');
  if (lengths.length > 0) return saysZero(lengths);
  if (headerValue(headers, 'content-type') !== undefined) return false;
  return method === undefined || bodylessMethods.has(method);
}

/** Fields that are malformed or disagree say nothing. */
function saysZero(lengths: readonly string[]): boolean {
  return lengths.every((length) => /^\s*0+\s*$/.test(length));
}
