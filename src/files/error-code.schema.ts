import type { ErrorCode } from '../errors.js';
import { builder } from '../graphql/builder.js';

const DESCRIPTIONS: Record<ErrorCode, string> = {
  UNAUTHENTICATED:
    'You are signed out, or the token is not valid or has expired: sign in or refresh, then ask again.',
  FORBIDDEN: 'You may see it, but you may not do this.',
  NOT_FOUND: 'It does not exist, or you may not see it.',
  BAD_USER_INPUT: 'An argument is not valid; `field` names it.',
  CONFLICT: 'It conflicts with what already exists; `field` names the argument.',
  BAD_CURSOR: 'The cursor does not belong to this list with this filter and order, or to this room.',
  CURSOR_EXPIRED: 'The log no longer reaches back to this cursor: fetch the lists again.',
  FILE_TOO_LARGE: 'The file is larger than a file may be.',
  FILE_TYPE_NOT_ALLOWED: 'Judged by its content, the file is of a type that this server does not accept.',
  FILE_INFECTED: 'The virus scanner found something in the file.',
  UPLOAD_INCOMPLETE: 'The file did not arrive in full: send it again.',
  QUOTA_EXCEEDED: 'The storage quota of the user or the room is used up, or too many uploads are unfinished.',
  BAD_REQUEST: 'The request violates its protocol.',
  GRAPHQL_PARSE_FAILED: 'The document has a syntax error.',
  GRAPHQL_VALIDATION_FAILED: 'The document does not match the schema.',
  PERSISTED_QUERY_NOT_FOUND: 'The server does not know the document with this hash: send the full document.',
  PERSISTED_QUERY_ONLY: 'This server only executes documents on its list, and this one is not on it.',
  RATE_LIMITED: 'Too many requests of this kind: wait for `retryAfter` seconds.',
  QUERY_TOO_COMPLEX: 'The operation asks for too much at once: ask for fewer fields or smaller pages.',
  UNAVAILABLE: 'Something that the server needs for this is not available: try again later.',
  INTERNAL_SERVER_ERROR: 'A bug in the server. Its log has the details under `requestId`.',
};

/** The codes of every error, as a type for those that stand in an answer. */
export const ErrorCodeEnum = builder.enumType('ErrorCode', {
  description: 'Every error carries one of these in `extensions.code`.',
  values: Object.fromEntries(
    Object.entries(DESCRIPTIONS).map(([code, description]) => [code, { description }]),
  ) as Record<ErrorCode, { description: string }>,
});
