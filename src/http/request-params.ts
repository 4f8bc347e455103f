import type { IncomingMessage, ServerResponse } from 'node:http';
import type { GraphQLParams, Plugin } from 'graphql-yoga';
import { paramsIn } from '../graphql/params.js';
import type { TransportContext } from '../live/execution-plugin.js';
import { answerTypeFor } from './accept.js';
import { badRequest } from './bad-request.js';
import { answerBatch, MAX_BATCH } from './batch-answer.js';
import { bodyKindOf, isEncoded, isUtf8 } from './content-type.js';
import { bodyOf } from './json-body.js';
import { discardRest } from './multipart-rest.js';

interface NodeContext extends TransportContext {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
}

/**
 * Reads the parameters of a GET from its address, and of a POST from its JSON body, of which no more than `limit` bytes are
 * taken. Other bodies than JSON and multipart are refused with 415: forms and bare documents are ways past a preflight, and no
 * client needs them; and so are bodies in another charset, or compressed ones. https://graphql.github.io/graphql-over-http/
 */
export function useRequestParams(limit: number): Plugin<object, TransportContext> {
  return {
    onRequestParse({ request, url, serverContext, setRequestParser, fetchAPI }) {
      const { req, res, parley } = serverContext as unknown as NodeContext;
      if (request.method === 'GET') {
        refuseUnread(req);
        setRequestParser(() => paramsInAddress(url.searchParams));
      } else if (request.method === 'POST') {
        refuseUnread(req);
        if (isEncoded(req))
          throw badRequest(415, 'Send the body as it is, without `Content-Encoding`.', {
            'accept-encoding': 'identity',
          });
        const kind = bodyKindOf(req);
        if (kind === 'multipart') return;
        if (kind === 'other')
          throw badRequest(
            415,
            '`Content-Type` must be application/json, or multipart/form-data for uploads.',
          );
        if (!isUtf8(req)) throw badRequest(415, 'JSON must be in UTF-8: send it so.');
        setRequestParser(async () => {
          const given = await jsonIn(req, res, limit);
          const isBatch = Array.isArray(given) && given.length > 0 && given.length <= MAX_BATCH;
          return isBatch ? answerBatch(fetchAPI, req, parley, given.length) : paramsInJson(given);
        });
      } else throw badRequest(405, WRONG_METHOD, { allow: 'GET, POST' });
    },
  };
}

/** Who sends PUT or DELETE here is mostly a client of graphql-sse in that mode. */
const WRONG_METHOD =
  'Send operations by POST, or queries by GET. A stream carries one operation: the single connection mode of graphql-sse is not offered.';

/** What could not be read anyhow is not executed. */
function refuseUnread({ headers: { accept } }: IncomingMessage): void {
  if (answerTypeFor(accept) !== undefined) return;
  throw badRequest(
    406,
    '`Accept` must allow application/graphql-response+json, application/json or text/event-stream.',
  );
}

/** Rejects as `bodyOf` does. */
async function jsonIn(req: IncomingMessage, res: ServerResponse, limit: number): Promise<unknown> {
  let body: string;
  try {
    body = await bodyOf(req, limit);
  } catch (error) {
    // What is left of it must not stand in the way of the next request on the connection.
    discardRest(req, res);
    throw error;
  }
  return parse(body, 'The body');
}

function paramsInJson(given: unknown): GraphQLParams {
  if (given === null || typeof given !== 'object' || Array.isArray(given)) {
    throw badRequest(
      400,
      'The body must be one JSON object with `query` or `documentId`, and optionally `variables` and `operationName`.',
    );
  }
  return paramsIn(given as Record<string, unknown>) as GraphQLParams;
}

function paramsInAddress(search: URLSearchParams): GraphQLParams {
  // Of several with one name the first counts.
  const params = paramsIn(Object.fromEntries([...search].reverse()));
  for (const name of ['variables', 'extensions'] as const) {
    const text = params[name];
    if (typeof text === 'string') params[name] = parse(text, `\`${name}\``) ?? undefined;
  }
  // An address that names no document has none, rather than an empty one.
  if (params.query === '') delete params.query;
  return params as GraphQLParams;
}

function parse(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw badRequest(400, `${what} is not valid JSON.`);
  }
}
