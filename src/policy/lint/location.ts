import { isIPv6 } from 'node:net';

const pathCharacter = "[\\w\\-.~!$&'()*+,;=%:@]";
const userCharacter = "[\\w\\-.~!$&'()*+,;=%:]";
const hostCharacter = "[\\w\\-.~!$&'()*+,;=%]";
const authority = `(?:${userCharacter}*@)?(?:\\[([\\da-fA-F:]+)\\]|${hostCharacter}*)(?::(\\d*))?`;
const reference = new RegExp(
  `^(?:https?:)?(?://(${authority})(?=[/?#]|$)|(?!//))((?:/|${pathCharacter})*)` +
    `(?:\\?(?:${pathCharacter}|[\\[\\]/?])*)?(?:#(?:${pathCharacter}|[/?])*)?$`,
);

/**
 * Why a redirect to there becomes a block; undefined when it is sent. As libddwaf has it: a URL with http or https, or a
 * path, in the characters of RFC 3986.
 */
export function locationProblem(location: unknown): string | undefined {
  if (location === undefined) return 'is missing';
  if (typeof location !== 'string' || location === '') return 'is empty or not a string';
  if (/\p{Cc}/u.test(location)) return 'has a control character';
  if (/[^\x21-\x7e]/.test(location)) return 'has a character that must be percent-encoded';
  const bracket = location.indexOf('[security_response_id]');
  const query = location.indexOf('?');
  if (bracket !== -1 && (query === -1 || bracket < query))
    return '[security_response_id] is only allowed after the `?`';
  const match = reference.exec(location);
  if (match === null) return 'is neither an http(s) URL nor a path';
  const [, host = '', ipv6, port, path = ''] = match;
  if (ipv6 !== undefined && !isIPv6(ipv6)) return 'has an invalid IPv6 address in brackets';
  if (Number(port ?? 0) > 65_535) return 'has a port above 65535';
  if (host === '' && !path.startsWith('/')) return 'has neither a host nor a path';
  return undefined;
}
