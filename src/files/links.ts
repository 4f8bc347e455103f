import { createHmac, timingSafeEqual } from 'node:crypto';
import { deriveKey } from '../accounts/tokens.js';
import type { Now } from '../db/clock.js';

/** The longest life of a link, in seconds. */
export const MAX_LINK_SECONDS = 86_400;

/** From this life on, in seconds, links are the same for a stretch. */
const SHORTEST_SHARED = 60;

/** A link in exactly the form that `sign` writes: what is signed, and what `verify` reads. */
const LINK =
  /^(?<signed>\/files\/(?<fileId>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\/[^/?#]+\?(?:variant=(?<variant>[a-z0-9-]{1,40})&)?expires=(?<expires>\d{10,12}))&signature=(?<signature>[\w-]{43})(?<download>&download=1)?$/;

export type LinkCheck =
  | {
      readonly kind: 'good';
      readonly fileId: string;
      /** Names what was made of the file; undefined: the file itself. */
      readonly variant: string | undefined;
      /** Until it expires. */
      readonly secondsLeft: number;
      /** The client asks to save the file, not to show it. */
      readonly download: boolean;
    }
  | { readonly kind: 'expired' }
  | { readonly kind: 'bad' };

/**
 * Signed links: `/files/<file id>/<name>?expires=<unix seconds>&signature=<HMAC-SHA256>`, for what was made of
 * a file with `variant=<its name>&` before `expires`. A bearer capability for one file, or one variant of it,
 * until it expires, bound to no viewer. The signature covers the very characters before it, so that no
 * character can be altered, nor spelled otherwise. Only `&download=1` may be added at the end.
 */
export class FileLinks {
  private readonly key: Buffer;

  /**
   * `publicUrl` answers the absolute base of links, without a slash at its end. `now`: the database's clock,
   * the same for all processes.
   */
  constructor(
    secret: string,
    private readonly publicUrl: () => string,
    private readonly now: Now = () => Date.now(),
  ) {
    this.key = deriveKey(secret, 'file link');
  }

  /**
   * An absolute link that works for `seconds` from now on, or up to a quarter longer: for a quarter of
   * `seconds` it is the same one, so that caches know it again. One for less than a minute ends when it was
   * asked to. `variant`: what was made of the file, lower case letters, digits and hyphens.
   */
  url(file: { readonly id: string; readonly name: string }, seconds: number, variant?: string): string {
    const expires = this.expiry(file.id, seconds);
    const what = variant === undefined ? '' : `variant=${variant}&`;
    const signed = `/files/${file.id}/${encodeSegment(file.name)}?${what}expires=${String(expires)}`;
    return `${this.publicUrl()}${signed}&signature=${this.mac(signed)}`;
  }

  /** `target`: path and query as they came over the wire. */
  verify(target: string): LinkCheck {
    const parts = LINK.exec(target)?.groups;
    const { signed = '', fileId = '', expires = '', signature = '' } = parts ?? {};
    // The texts are compared, not the bytes they stand for: base64url can spell the same bytes in several ways.
    if (parts === undefined || !timingSafeEqual(Buffer.from(signature), Buffer.from(this.mac(signed))))
      return { kind: 'bad' };
    const secondsLeft = Number(expires) - Math.floor(this.now() / 1000);
    if (secondsLeft <= 0) return { kind: 'expired' };
    return {
      kind: 'good',
      fileId,
      variant: parts['variant'],
      secondsLeft,
      download: parts['download'] !== undefined,
    };
  }

  /** Unix seconds. Each file has its own beat, so that the pictures of a page do not all change at once. */
  private expiry(fileId: string, seconds: number): number {
    const now = Math.floor(this.now() / 1000);
    if (seconds < SHORTEST_SHARED) return now + seconds;
    const stretch = Math.floor(seconds / 4);
    const beat = Number.parseInt(fileId.slice(-8), 16) % stretch;
    return now + seconds + stretch - ((now + beat) % stretch);
  }

  private mac(signed: string): string {
    return createHmac('sha256', this.key).update(signed).digest('base64url');
  }
}

/** One segment of a path, in characters that no client rewrites on the way. */
const encodeSegment = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*~]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
