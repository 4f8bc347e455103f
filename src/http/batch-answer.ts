import type { IncomingMessage } from 'node:http';
import type { FetchAPI } from 'graphql-yoga';
import type { Context } from '../graphql/context.js';
import { toClientErrors } from '../graphql/errors.js';
import { answerTypeFor } from './accept.js';
import { badRequest } from './bad-request.js';

/** Operations of a batch that are answered one by one, though all alike. */
export const MAX_BATCH = 100;

/**
 * Refuses a batch of operations so that every one of them is told: by a list, which is what clients that send one look for. They read it where the
 * status is 200, or the type is of GraphQL's own; so the status says what is wrong there alone.
 */
export function answerBatch(
  { Response }: Pick<FetchAPI, 'Response'>,
  { headers: { accept } }: IncomingMessage,
  { requestId, logger }: Context,
  size: number,
): Response {
  const type =
    answerTypeFor(accept) === 'application/graphql-response+json'
      ? 'application/graphql-response+json'
      : 'application/json';
  const errors = toClientErrors(
    [badRequest(400, 'Send one operation a request, as one JSON object: this server takes no batches.')],
    requestId,
    logger,
  );
  return new Response(JSON.stringify(Array.from({ length: size }, () => ({ errors }))), {
    status: type === 'application/json' ? 200 : 400,
    headers: { 'content-type': `${type}; charset=utf-8` },
  });
}
