import { domainToASCII, domainToUnicode } from 'node:url';
import { foldCase } from '../names.js';

/** Bytes that an address may have (RFC 5321, section 4.5.3.1.3, without the brackets). */
export const MAX_EMAIL = 254;

/** What a browser's field for e-mail takes before the @, and letters of all scripts (RFC 6531); nothing quoted. */
const LOCAL = /^[^\p{C}\p{Z}"(),:;<>@[\\\]]+$/u;
/** What a name of a host cannot have, in any script. */
const NO_DOMAIN = /[^a-z0-9.\-\u0080-\u{10FFFF}]/iu;
const NEEDS_PUNYCODE = /[^a-z0-9.-]|xn--/i;
const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
/** The last label of what is an address of the network layer, in one of its forms. */
const NUMBER = /^(?:\d+|0x[\da-f]*)$/;

const OUTER_START = /^[\s\p{Cf}]+/u;
const OUTER_END = /(?<![\s\p{Cf}])[\s\p{Cf}]+$/u;

/** The address without the spaces and invisible characters around it that come along when one is pasted. */
export const trimmedEmail = (given: string): string => given.replace(OUTER_START, '').replace(OUTER_END, '');

/**
 * What accounts are known by: the same for every way to write an address. Case makes no difference, nor do spaces around it,
 * nor whether the domain is in letters or in punycode. A host without a dot is accepted, as `root@localhost`. Undefined for what
 * is no address, and for one that is too long.
 */
export function emailKey(given: string): string | undefined {
  const address = trimmedEmail(given);
  const at = address.lastIndexOf('@');
  // Before anything else is done with it.
  if (at < 0 || address.length > MAX_EMAIL) return undefined;
  const local = foldCase(address.slice(0, at));
  const domain = asciiDomain(address.slice(at + 1));
  if (domain === undefined || !LOCAL.test(local)) return undefined;
  const key = `${local}@${domain}`;
  return Buffer.byteLength(key) <= MAX_EMAIL ? key : undefined;
}

/** The same for what is no address by today's rules, and was one to a version before: then as that one knew it. */
export const signInKey = (given: string): string => emailKey(given) ?? trimmedEmail(given).toLowerCase();

/** The address as people read it: the domain in letters. */
export function shownEmail(key: string): string {
  const domain = key.lastIndexOf('@') + 1;
  return key.slice(0, domain) + (domainToUnicode(key.slice(domain)) || key.slice(domain));
}

/** The domain in lower case and in punycode (UTS 46); undefined for what is none. */
function asciiDomain(given: string): string | undefined {
  // What Node is given here is read as the rest of a URL.
  if (NO_DOMAIN.test(given)) return undefined;
  const domain = NEEDS_PUNYCODE.test(given) ? domainToASCII(given) : given.toLowerCase();
  const labels = domain.split('.');
  return labels.every((label) => LABEL.test(label)) && !NUMBER.test(labels.at(-1) ?? '') ? domain : undefined;
}
