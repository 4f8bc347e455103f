import type { IncomingMessage } from 'node:http';

/** A name or an IPv4 address, or an IPv6 address in brackets; and perhaps a port (RFC 9110, section 7.2). */
const HOST = /^(?:\[[\da-f:.]+\]|[\w.~!$&'()*+,;=%-]+)(?::\d*)?$/i;

/** A request target that names the host itself (RFC 9112, section 3.2.2). */
const ABSOLUTE = /^https?:\/\/([^/?#]+)([^#]*)/i;

/** The last host that was found to be one: nearly all requests name the same. */
let good = '';

/**
 * Looks once at what a request says of where it goes: from here on its host is one that an address can be made of, and its target is a
 * path. Answers what is wrong, which is to be answered with 400 (RFC 9112, section 3.2); undefined where nothing is.
 */
export function settleTarget(req: IncomingMessage): string | undefined {
  const { headers, rawHeaders, url = '' } = req;
  if (hostsIn(rawHeaders) > 1) return 'Send one Host header.';
  if (!isHost(headers.host)) return 'The Host header must be the name or the address of this server.';
  // A path, or the asterisk of OPTIONS.
  if (url.startsWith('/') || url === '*') return undefined;
  const [, authority, rest = ''] = ABSOLUTE.exec(url) ?? [];
  if (authority === undefined || !isHost(authority))
    return 'The target of a request must be a path, or an absolute http address.';
  headers.host = authority;
  req.url = rest.startsWith('/') ? rest : `/${rest}`;
  return undefined;
}

/** HTTP/1.0 needs none; Node has refused other requests without one. */
function isHost(host: string | undefined): boolean {
  if (host === undefined || host === '' || host === good) return true;
  if (!HOST.test(host) || !URL.canParse(`http://${host}`)) return false;
  good = host;
  return true;
}

/** Node keeps the first of several, and says nothing of the others. */
function hostsIn(rawHeaders: readonly string[]): number {
  let hosts = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i];
    if (name?.length === 4 && name.toLowerCase() === 'host') hosts += 1;
  }
  return hosts;
}
