import { isIPv4, isIPv6 } from 'node:net';

/** Longer texts are no addresses: a full one with zone and port takes no more. */
const MAX_LENGTH = 80;

/** What addresses are counted together that are none. */
const UNKNOWN = 'unknown';

/**
 * The IPv4 or IPv6 address in a text, without what proxies put around it: quotes, brackets, a port, a zone, leading zeros. Undefined
 * where there is none: a connection that was reset has no address any more.
 */
export function bareAddress(text: string | undefined): string | undefined {
  if (text === undefined || text.length > MAX_LENGTH) return undefined;
  if (isIPv4(text)) return text;
  const trimmed = text.trim().replace(/^"([^"]*)"$/, '$1');
  const unwrapped = /^\[([^\]]*)\](?::\d{1,5})?$/.exec(trimmed)?.[1] ?? trimmed;
  // As it stands first: the end of an IPv6 address may look like a port.
  for (const candidate of [unwrapped, unwrapped.replace(/:\d{1,5}$/, '')]) {
    const address = (candidate.split('%', 1)[0] ?? '').replace(/\b0+(?=[\da-f])/gi, '');
    if (isIPv4(address) || isIPv6(address)) return address;
  }
  return undefined;
}

/**
 * The key that a client's address is counted by, the same for every spelling: an IPv4 address as it is, also where it is written as IPv6
 * (mapped, or RFC 6052); of other IPv6 addresses the /64, since a customer gets no less. All that is no address has one key.
 */
export function addressKey(text: string | undefined): string {
  const address = bareAddress(text);
  if (address === undefined) return UNKNOWN;
  if (isIPv4(address)) return address;
  const groups = groupsOf(address);
  const prefix = groups.slice(0, 6).join(':');
  if (prefix === '0:0:0:0:0:ffff' || prefix === '64:ff9b:0:0:0:0') return dotted(groups.slice(6));
  return `${groups.slice(0, 4).join(':')}::/64`;
}

/** The eight groups of an IPv6 address, in lower case and without leading zeros, as the URL Standard serializes them. */
function groupsOf(address: string): string[] {
  const [head = [], tail = []] = new URL(`http://[${address}]`).hostname
    .slice(1, -1)
    .split('::')
    .map((part) => (part === '' ? [] : part.split(':')));
  return [...head, ...Array<string>(8 - head.length - tail.length).fill('0'), ...tail];
}

const dotted = (groups: readonly string[]): string =>
  groups
    .map((group) => parseInt(group, 16))
    .flatMap((group) => [group >> 8, group & 255])
    .join('.');
