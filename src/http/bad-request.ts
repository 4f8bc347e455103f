import { createGraphQLError } from 'graphql-yoga';

/** Why a request is refused before it is executed: BAD_REQUEST with an HTTP status, and headers if it needs any. */
export const badRequest = (status: number, message: string, headers: Record<string, string> = {}): Error =>
  createGraphQLError(message, { extensions: { code: 'BAD_REQUEST', http: { status, headers } } });
