/**
 * Errors that are meant to be read. Coded ones: what the API promises to tell a client; everything else that is thrown while it
 * serves is a defect or an outage and is masked (graphql/errors.ts). And why the program does not start.
 */

/** Every code a client can meet in `extensions.code`, in the schema's order. */
export const ERROR_CODES = [
  'UNAUTHENTICATED',
  'FORBIDDEN',
  'NOT_FOUND',
  'BAD_USER_INPUT',
  'CONFLICT',
  'BAD_CURSOR',
  'CURSOR_EXPIRED',
  'FILE_TOO_LARGE',
  'FILE_TYPE_NOT_ALLOWED',
  'FILE_INFECTED',
  'UPLOAD_INCOMPLETE',
  'QUOTA_EXCEEDED',
  'BAD_REQUEST',
  'GRAPHQL_PARSE_FAILED',
  'GRAPHQL_VALIDATION_FAILED',
  'PERSISTED_QUERY_NOT_FOUND',
  'PERSISTED_QUERY_ONLY',
  'RATE_LIMITED',
  'QUERY_TOO_COMPLEX',
  'UNAVAILABLE',
  'INTERNAL_SERVER_ERROR',
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

/** What an error carries beside its code, each shown in `extensions` under the same name. */
export interface ErrorDetails {
  /** Dotted path of the offending input, such as `input.slug`. */
  readonly field?: string;
  /** Seconds after which trying again makes sense. */
  readonly retryAfter?: number;
  /** The room's head now, so that a client whose cursor failed can refetch and go on. */
  readonly eventCursor?: string;
}

/**
 * Why the program does not start, where whoever started it can do something about it: the message is one line that says what is
 * wrong and what to do.
 */
export class StartError extends Error {
  override readonly name: string = 'StartError';
}

/** An error whose message and code are meant for the client. */
export class ParleyError extends Error {
  override readonly name = 'ParleyError';

  constructor(
    readonly code: ErrorCode,
    message: string,
    readonly details: ErrorDetails = {},
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

export const unauthenticated = (message = 'Sign in first: send an access token.'): ParleyError =>
  new ParleyError('UNAUTHENTICATED', message);

export const forbidden = (message: string): ParleyError => new ParleyError('FORBIDDEN', message);

export const notFound = (what: string): ParleyError => new ParleyError('NOT_FOUND', `${what} was not found.`);

/** `field` is a dotted path from the field's arguments on, such as `input.slug` or `first`. */
export const badInput = (field: string, message: string): ParleyError =>
  new ParleyError('BAD_USER_INPUT', message, { field });

export const conflict = (field: string, message: string): ParleyError =>
  new ParleyError('CONFLICT', message, { field });
