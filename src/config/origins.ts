import { z } from 'zod';
import { list } from './values.js';

/** Schemes of the web, whose origins an URL knows; those of apps and extensions are a scheme and a host. */
const WEB = new Set(['http:', 'https:']);

/**
 * An origin as browsers write it in `Origin`: small letters, IDNs in their ASCII form, no default port, no slash behind. `*.` before the host
 * stands for all of its subdomains. Undefined for what is no origin.
 */
function normalOrigin(text: string): string | undefined {
  if (text === '*') return text;
  const [, scheme = '', family = '', rest = ''] =
    /^([a-z][a-z\d+.-]*:\/\/)(\*\.)?([^*/?#@\s]+)\/?$/i.exec(text) ?? [];
  if (rest === '' || !URL.canParse(scheme + rest)) return undefined;
  const { protocol, host, hostname } = new URL(scheme + rest);
  if (hostname === '') return undefined;
  // A family of addresses there is none.
  if (family !== '' && /^[\d.]+$|^\[/.test(hostname)) return undefined;
  if (!WEB.has(protocol) && !/^[\w.-]+(:\d+)?$/.test(host)) return undefined;
  return `${protocol}//${family}${host}`.toLowerCase();
}

/** Origins separated by commas, or `*`. */
export const origins = list.transform((given, context) => {
  const normal = given.map(normalOrigin).filter((origin) => origin !== undefined);
  if (normal.length === given.length) return normal;
  context.addIssue({
    code: 'custom',
    message:
      'origins separated by commas, such as https://app.example.com, https://*.example.com or capacitor://localhost, or *',
  });
  return z.NEVER;
});
