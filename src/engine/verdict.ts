import { randomUUID } from 'node:crypto';
import { type HeaderList, headerValues } from './http.ts';
import type { WafActions } from './waf/waf-result.ts';

/** What to answer instead of the page. Rendered by each door with `BlockPages`. */
export interface BlockVerdict {
  readonly kind: 'block';
  readonly status: number;
  readonly type: 'html' | 'json';
  readonly securityResponseId: string;
}

export interface RedirectVerdict {
  readonly kind: 'redirect';
  /** 300 to 399. */
  readonly status: number;
  readonly location: string;
  readonly securityResponseId: string;
}

/** `pass`: nothing found. `report`: rules matched, but the traffic passes. */
export type Verdict =
  | { readonly kind: 'pass' }
  | { readonly kind: 'report' }
  | BlockVerdict
  | RedirectVerdict;

export const securityResponseIdPlaceholder = '[security_response_id]';

const defaultBlockStatus = 403;
const defaultRedirectStatus = 303;

/**
 * Reads `block_request` and `redirect_request` as Datadog's libraries do: a redirect outranks a block, without a
 * location (or with one that is no field value) it is one; a status out of range falls back to 303 and 403.
 */
export function verdictOf(actions: WafActions, matched: boolean, requestHeaders: HeaderList): Verdict {
  const redirect = actions['redirect_request'];
  if (redirect !== undefined) {
    const securityResponseId = responseId(redirect['security_response_id']);
    const location = redirect['location'];
    if (typeof location === 'string' && isFieldValue(location)) {
      return {
        kind: 'redirect',
        status: statusBetween(redirect['status_code'], 300, 399) ?? defaultRedirectStatus,
        location: location.replaceAll(securityResponseIdPlaceholder, () => securityResponseId),
        securityResponseId,
      };
    }
    return plainBlock(securityResponseId, requestHeaders);
  }
  const block = actions['block_request'];
  if (block !== undefined) {
    const type = block['type'];
    return {
      kind: 'block',
      status: statusBetween(block['status_code'], 200, 599) ?? defaultBlockStatus,
      type: type === 'html' || type === 'json' ? type : preferredType(requestHeaders),
      securityResponseId: responseId(block['security_response_id']),
    };
  }
  return { kind: matched ? 'report' : 'pass' };
}

/** What a redirect becomes that cannot be sent: 403, page by the Accept header. */
export function plainBlock(securityResponseId: string, requestHeaders: HeaderList): BlockVerdict {
  return {
    kind: 'block',
    status: defaultBlockStatus,
    type: preferredType(requestHeaders),
    securityResponseId,
  };
}

/** A control character could end the Location field and begin another one. */
function isFieldValue(location: string): boolean {
  if (location === '') return false;
  for (let index = 0; index < location.length; index += 1) {
    const unit = location.charCodeAt(index);
    if (unit < 0x20 || unit === 0x7f) return false;
  }
  return true;
}

/** HTML when the Accept header names `text/html` before `application/json`, or alone; else JSON. */
function preferredType(requestHeaders: HeaderList): 'html' | 'json' {
  const accepted = headerValues(requestHeaders, 'accept')
    .join(',')
    .split(',')
    .map((range) => (range.split(';', 1)[0] ?? '').trim().toLowerCase());
  const html = accepted.indexOf('text/html');
  const json = accepted.indexOf('application/json');
  return html !== -1 && (json === -1 || html < json) ? 'html' : 'json';
}

/** libddwaf gives numbers, Remote Config may give digits as text. */
function statusBetween(value: unknown, lowest: number, highest: number): number | undefined {
  const status = typeof value === 'string' ? Number(value) : value;
  if (typeof status !== 'number' || !Number.isInteger(status)) return undefined;
  return status >= lowest && status <= highest ? status : undefined;
}

function responseId(value: unknown): string {
  return typeof value === 'string' && value !== '' ? value : randomUUID();
}
