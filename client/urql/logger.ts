const MISSING_IN_FRAGMENT = /^Invalid undefined.*Fragment/s;

/**
 * For `cacheExchange({ logger })`. Where it has no whole schema, graphcache looks for the fields of every `...
 * on` in every object that it writes, and warns in development that most of them are not there.
 */
export function logger(severity: 'debug' | 'error' | 'warn', message: string): void {
  if (severity !== 'debug' && !MISSING_IN_FRAGMENT.test(message)) console[severity](message);
}
