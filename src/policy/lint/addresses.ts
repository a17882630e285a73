import { isIP } from 'node:net';

/*
 * Addresses and networks as libddwaf reads them, for it says nothing of one that it does not understand: a list entry
 * is passed over. test/policy/addresses.test.ts asks libddwaf about the same texts.
 */

/** Why libddwaf passes over the text; undefined when it is an address or a network to it. */
export function addressProblem(text: string): string | undefined {
  const slash = text.indexOf('/');
  const address = slash === -1 ? text : text.slice(0, slash);
  const version = isIP(address);
  if (version === 0 || address.includes('%')) return reasonOf(text, address);
  if (slash === -1) return undefined;
  const digits = text.slice(slash + 1);
  if (digits === '' || digits.length > 3) return `the prefix length ${JSON.stringify(digits)} is none`;
  // As C reads a number: blanks and a sign before it, anything behind it.
  const length = /^[ \t\n\v\f\r]*[+-]?\d+/.exec(digits)?.[0];
  const bits = version === 4 ? 32 : 128;
  return length !== undefined && Number(length) >= 0 && Number(length) <= bits
    ? undefined
    : `the prefix length of IPv${version} goes from 0 to ${bits}`;
}

/** What was meant, when the text can be put right without guessing. */
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
  if (text.trim() !== text) return 'the blanks around it are part of it';
  if (/^[\d.]+ *- *[\d.]+$|^[\da-f:]+ *- *[\da-f:]+$/i.test(text))
    return 'ranges are not understood, only addresses and networks like 10.0.0.0/24';
  if (address.includes('%')) return 'an address with a zone is not understood';
  if (/[*]/.test(text)) return 'wildcards are not understood, only networks like 10.0.0.0/24';
  if (/^\[.*\]$/.test(address)) return 'brackets are not understood';
  if (/^\d{1,3}(?:\.\d{1,3}){3}:\d+$/.test(text)) return 'a port is not understood';
  if (/^\d+(?:\.\d+){3}$/.test(address) && address.split('.').some((part) => /^0\d/.test(part)))
    return 'leading zeros are not understood';
  return 'only IPv4 and IPv6 addresses and networks are';
}
