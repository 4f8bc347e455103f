import { GraphQLError } from 'graphql';
import type { GraphQLParams, Plugin } from 'graphql-yoga';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { paramsIn } from '../graphql/params.js';
import { bodyKindOf } from './content-type.js';
import { parseMultipartRequest, type MultipartOptions, type MultipartRequest } from './multipart.js';
import { isObject, MultipartError } from './multipart-map.js';
import { discardRest } from './multipart-rest.js';

interface NodeContext {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
}

/**
 * Lets yoga take GraphQL multipart requests from Node's request itself, as a stream. Needs yoga's own `multipart` off, which
 * would read the whole body into memory, and its `maxRequestBodySize`, which would read the body first. Nothing is
 * read before all plugins have seen the request, so what they refuse (CSRF) costs no more than its rest.
 */
export function useMultipart(options: MultipartOptions): Plugin<object, NodeContext> {
  const requests = new WeakMap<IncomingMessage, MultipartRequest>();
  return {
    onRequestParse({ request, serverContext: { req, res }, setRequestParser }) {
      if (request.method !== 'POST' || !isMultipart(req)) return;
      setRequestParser(async () => {
        const parsed = await parseMultipartRequest(req, res, options).catch((error: unknown) => {
          throw error instanceof MultipartError
            ? new GraphQLError(error.message, {
                extensions: { code: 'BAD_REQUEST', http: { status: error.status } },
              })
            : error;
        });
        requests.set(req, parsed);
        const { operations } = parsed;
        // Yoga refuses a batch.
        return (isObject(operations) ? paramsIn(operations) : operations) as GraphQLParams;
      });
    },
    onResponse(hook) {
      const { req, res } = hook.serverContext;
      if (!isMultipart(req)) return;
      const { closes } = requests.get(req)?.finish() ?? discardRest(req, res);
      // A browser sends the whole body before it looks at the answer, and when that fails it believes no answer but one that
      // is an error by its status (Chromium, HttpStreamParser). The body says what happened, as ever.
      if (closes && hook.response.status < 400) {
        const { body, headers } = hook.response;
        hook.setResponse(new hook.fetchAPI.Response(body, { status: 413, headers }));
      }
    },
  };
}

const isMultipart = (req: IncomingMessage): boolean => bodyKindOf(req) === 'multipart';
