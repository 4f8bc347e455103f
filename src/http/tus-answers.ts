import { isOutage } from '../db/outage.js';
import { ParleyError, type ErrorCode } from '../errors.js';
import { LockTimeoutError } from '../files/resumable/upload-locks.js';
import type { Logger } from '../observability/logger.js';

/** An answer as @tus/server takes it. */
export interface Said {
  readonly status_code: number;
  readonly body: string;
}

export const said = (status_code: number, code: ErrorCode, message: string): Said => ({
  status_code,
  body: `${JSON.stringify({ code, message })}\n`,
});

export const refused = (status: number, code: ErrorCode, message: string): Response =>
  new Response(said(status, code, message).body, { status });

const STATUS: Partial<Record<ErrorCode, number>> = {
  NOT_FOUND: 404,
  UPLOAD_INCOMPLETE: 409,
  UNAVAILABLE: 503,
};

/** What a client is told of an error. */
export function saidOf(logger: Logger, error: unknown): Said {
  if (error instanceof LockTimeoutError) return said(423, error.code, error.message);
  if (error instanceof ParleyError) return said(STATUS[error.code] ?? 400, error.code, error.message);
  if (isOutage(error)) return said(503, 'UNAVAILABLE', 'The server cannot store this now: try again later.');
  if (isSaid(error)) return error;
  if (error instanceof Error && error.name === 'AbortError')
    return said(400, 'UPLOAD_INCOMPLETE', 'The request was cut off.');
  logger.error({ err: error }, 'a resumable upload failed');
  return said(500, 'INTERNAL_SERVER_ERROR', 'Something went wrong on the server.');
}

const isSaid = (error: unknown): error is Said =>
  typeof error === 'object' && error !== null && 'status_code' in error && 'body' in error;
