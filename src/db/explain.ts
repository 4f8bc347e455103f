import { isOutage } from './outage.js';
import { StartError } from '../errors.js';

/** Why a program could not start or go on, in one line for whoever started it; with the stack only where nobody gave a reason. */
export function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error instanceof StartError) return error.message;
  const code = 'code' in error ? String(error.code) : '';
  // What was attempted, then why it failed.
  if (error.cause !== undefined) return `${error.message}: ${explain(error.cause)}`;
  if (code === 'EADDRINUSE')
    return `${error.message}: another program listens there; set PORT to another port`;
  if (isOutage(error)) return `cannot reach what it needs: ${error.message || code}`;
  if (/^[0-9A-Z]{5}$/.test(code)) return error.message;
  return error.stack ?? error.message;
}
