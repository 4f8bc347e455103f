import type { ErrorCode } from '../errors.js';
import { builder } from '../graphql/builder.js';

const DESCRIPTIONS: Record<ErrorCode, string> = {
  UNAUTHENTICATED: 'Signed out, or the token is refused or has run out: sign in or refresh, then ask again.',
  FORBIDDEN: 'You may see it, but not do this.',
  NOT_FOUND: 'It does not exist, or you may not see it.',
  BAD_USER_INPUT: 'An argument is wrong; `field` names it.',
  CONFLICT: 'It goes against what is there; `field` names the argument.',
  BAD_CURSOR: 'Not a cursor of this list, filter and order, or of this room.',
  CURSOR_EXPIRED: 'The log no longer reaches back to this cursor: fetch the lists again.',
  FILE_TOO_LARGE: 'The file has more bytes than one may have.',
  FILE_TYPE_NOT_ALLOWED: 'By its content the file is of a type that is not accepted here.',
  FILE_INFECTED: 'The scanner found something in the file.',
  UPLOAD_INCOMPLETE: 'Not all bytes arrived: send the file again.',
  QUOTA_EXCEEDED: 'There is no room left for it.',
  BAD_REQUEST: 'The request breaks its protocol.',
  GRAPHQL_PARSE_FAILED: 'The document has a syntax error.',
  GRAPHQL_VALIDATION_FAILED: 'The document does not fit the schema.',
  PERSISTED_QUERY_NOT_FOUND: 'The document of this hash is not known: send it whole.',
  PERSISTED_QUERY_ONLY: 'Only documents of a list are executed here, and this one is not on it.',
  RATE_LIMITED: 'Too many of these: wait for `retryAfter` seconds.',
  QUERY_TOO_COMPLEX: 'The operation asks for too much at once.',
  UNAVAILABLE: 'Something that this needs does not answer: try again later.',
  INTERNAL_SERVER_ERROR: 'A defect of the server, which its log has under `requestId`.',
};

/** The codes of every error, as a type for those that stand in an answer. */
export const ErrorCodeEnum = builder.enumType('ErrorCode', {
  description: 'Every error carries one of these in `extensions.code`.',
  values: Object.fromEntries(
    Object.entries(DESCRIPTIONS).map(([code, description]) => [code, { description }]),
  ) as Record<ErrorCode, { description: string }>,
});
