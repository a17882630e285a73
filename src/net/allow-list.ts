import { BlockList, isIPv4, isIPv6 } from 'node:net';

/** Whether somebody at this address may connect. An IPv4 address written as IPv6 (`::ffff:10.0.0.1`) counts as IPv4. */
export type AllowList = (address: string) => boolean;

/** Addresses and networks such as `10.0.0.0/8`, `192.0.2.7`, `2001:db8::/32`; undefined if one is invalid. */
export function parseAllowList(networks: readonly string[]): AllowList | undefined {
  const list = new BlockList();
  for (const network of networks) {
    const match = /^([\da-fA-F.:]+)(?:\/(\d{1,3}))?$/.exec(network);
    const address = match?.[1] ?? '';
    const family = familyOf(address);
    if (family === undefined) return undefined;
    const bits = family === 'ipv4' ? 32 : 128;
    const prefix = match?.[2] === undefined ? bits : Number(match[2]);
    if (prefix > bits) return undefined;
    list.addSubnet(address, prefix, family);
  }
  return (address) => {
    // A link-local address has its interface after a percent sign.
    const bare = address.split('%', 1)[0] ?? '';
    const family = familyOf(bare);
    return family !== undefined && list.check(bare, family);
  };
}

function familyOf(address: string): 'ipv4' | 'ipv6' | undefined {
  if (isIPv4(address)) return 'ipv4';
  return isIPv6(address) ? 'ipv6' : undefined;
}
