import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { LRUCache } from 'lru-cache';
import type { Logger } from '../observability/logger.js';

/** Milliseconds for which an origin that was refused is not told of again. */
const QUIET_MS = 600_000;

export interface OriginsOptions {
  /** As CORS_ORIGINS lists them, normalised: origins, such with `*.` before their host, and `*` for any. */
  readonly corsOrigins: readonly string[];
  /** Where browsers find the server. */
  readonly publicUrl: string | undefined;
  readonly logger: Logger;
}

/** Whose pages may use the server through a browser, by the `Origin` of a request. */
export class Origins {
  /** Any page may, without credentials. */
  readonly any: boolean;
  private readonly listed: ReadonlySet<string>;
  /** What stands before and after the `*` of an origin whose subdomains are listed. */
  private readonly families: readonly (readonly [before: string, after: string])[];
  private readonly own: string | undefined;
  private readonly told = new LRUCache<string, true>({ max: 100, ttl: QUIET_MS });
  private readonly logger: Logger;

  constructor({ corsOrigins, publicUrl, logger }: OriginsOptions) {
    this.any = corsOrigins.includes('*');
    this.listed = new Set(corsOrigins);
    this.families = corsOrigins
      .filter((origin) => origin.includes('://*.'))
      .map((origin) => [origin.slice(0, origin.indexOf('*')), origin.slice(origin.indexOf('*') + 1)]);
    this.own = publicUrl === undefined ? undefined : new URL(publicUrl).origin;
    this.logger = logger;
  }

  /** Whether CORS_ORIGINS lists it. `null`, the name of every sandboxed frame, is never listed. */
  lists(origin: string): boolean {
    if (this.any) return true;
    // Browsers write origins in small letters, but for the ids of some extensions.
    const name = origin.toLowerCase();
    return (
      this.listed.has(name) ||
      this.families.some(
        ([before, after]) =>
          name.length > before.length + after.length &&
          name.startsWith(before) &&
          name.endsWith(after) &&
          /^[\w.-]+$/.test(name.slice(before.length, -after.length)),
      )
    );
  }

  /**
   * Whether a browser's page may use the API: with PUBLIC_URL set only those of this very origin, those of CORS_ORIGINS, and what the server
   * itself serves at an address or at localhost. So a page whose host was made to lead here (DNS rebinding), for which the browser
   * asks no permission, is refused, and so is a socket, for which it never asks. What names no origin is no page.
   */
  admits({ headers }: Pick<IncomingMessage, 'headers'>): boolean {
    const { origin, host } = headers;
    return (
      origin === undefined ||
      this.own === undefined ||
      origin === this.own ||
      this.lists(origin) ||
      (isUnnamed(origin) && isOf(host, origin))
    );
  }

  /** Logs that a page of another origin may not read, or use, the server: once in a while for each. */
  tellRefused({ headers }: Pick<IncomingMessage, 'headers'>): void {
    const { origin, host } = headers;
    if (origin === undefined || this.told.has(origin)) return;
    this.told.set(origin, true);
    this.logger.warn(
      { origin: origin.slice(0, 200), host },
      'a page of this origin was refused: add it to CORS_ORIGINS if it may use the server',
    );
  }

  /** Whether it is another origin than the server's own, as far as can be known. */
  isForeign({ headers }: Pick<IncomingMessage, 'headers'>): boolean {
    const { origin, host } = headers;
    return origin !== undefined && origin !== this.own && !isOf(host, origin);
  }
}

/** Whether a page of this origin came from that host. The scheme is not looked at: a proxy may speak TLS for the server. */
const isOf = (host: string | undefined, origin: string): boolean =>
  host !== undefined && origin.slice(origin.indexOf('://') + 3) === host;

/** An origin by an address, or on this very machine: no name that could be made to lead elsewhere. */
function isUnnamed(origin: string): boolean {
  if (!URL.canParse(origin)) return false;
  const { hostname } = new URL(origin);
  return isIP(hostname.replace(/^\[(.*)\]$/, '$1')) !== 0 || /^(.+\.)?localhost$/.test(hostname);
}
