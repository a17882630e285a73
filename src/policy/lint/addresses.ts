import { isIP } from 'node:net';

/*
 * Addresses and networks as libddwaf reads them. It ignores a list entry that it cannot parse, without any message. test/policy/addresses.test.ts asks libddwaf about the same texts.
 */

/** Why libddwaf ignores the text; undefined if it accepts it as an address or network. */
export function addressProblem(text: string): string | undefined {
  const slash = text.indexOf('/');
  const address = slash === -1 ? text : text.slice(0, slash);
  const version = isIP(address);
  if (version === 0 || address.includes('%')) return reasonOf(text, address);
  if (slash === -1) return undefined;
  const digits = text.slice(slash + 1);
  if (digits === '' || digits.length > 3) return `${JSON.stringify(digits)} is not a prefix length`;
  // As C reads a number: blanks and a sign before it, anything behind it.
  const length = /^[ \t\n\v\f\r]*[+-]?\d+/.exec(digits)?.[0];
  const bits = version === 4 ? 32 : 128;
  return length !== undefined && Number(length) >= 0 && Number(length) <= bits
    ? undefined
    : `the prefix length of an IPv${version} network is 0 to ${bits}`;
}

/** The intended address, if the text can be corrected without guessing. */
export function addressMeant(text: string): string | undefined {
  const trimmed = text.trim().replace(/%[^/]*/, '');
  const plain = trimmed
    .replace(/^\[([^\]]*)\](?=\/|$)/, '$1')
    .replace(/\s*\/\s*/, '/')
    .replace(/^((?:\d{1,3}\.){1,3})\*$/, (_, start: string) => wildcardNetwork(start))
    .replace(/(^|\.)0+(?=\d)/g, '$1');
  if (plain === text || addressProblem(plain) !== undefined) return undefined;
  return plain;
}

/** `10.1.*` is `10.1.0.0/16`. */
function wildcardNetwork(start: string): string {
  const parts = start.split('.').filter((part) => part !== '');
  return `${[...parts, '0', '0', '0'].slice(0, 4).join('.')}/${parts.length * 8}`;
}

function reasonOf(text: string, address: string): string {
  if (text.trim() !== text) return 'it begins or ends with white space';
  if (/^[\d.]+ *- *[\d.]+$|^[\da-f:]+ *- *[\da-f:]+$/i.test(text))
    return 'ranges are not supported, only addresses and networks such as 10.0.0.0/24';
  if (address.includes('%')) return 'addresses with a zone are not supported';
  if (/[*]/.test(text)) return 'wildcards are not supported, only networks such as 10.0.0.0/24';
  if (/^\[.*\]$/.test(address)) return 'brackets are not supported';
  if (/^\d{1,3}(?:\.\d{1,3}){3}:\d+$/.test(text)) return 'ports are not supported';
  if (/^\d+(?:\.\d+){3}$/.test(address) && address.split('.').some((part) => /^0\d/.test(part)))
    return 'leading zeros are not supported';
  return 'it must be an IPv4 or IPv6 address or network';
}
