import type { IncomingMessage, ServerResponse } from 'node:http';
import { createGraphQLError, type GraphQLParams, type Plugin } from 'graphql-yoga';
import type { TransportContext } from '../live/execution-plugin.js';
import { discardRest } from './multipart-rest.js';

const JSON_TYPES = /^application\/(graphql-response\+|graphql\+)?json\s*(;|$)/i;

interface NodeContext extends TransportContext {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
}

/**
 * Reads the parameters of a GET from its address, and of a POST from its JSON body, of which no more than `limit` bytes are
 * taken. Other bodies than JSON and multipart are refused with 415: forms and bare documents are ways past a preflight, and no
 * client needs them. https://graphql.github.io/graphql-over-http/
 */
export function useRequestParams(limit: number): Plugin<object, TransportContext> {
  return {
    onRequestParse({ request, url, serverContext, setRequestParser }) {
      if (request.method === 'GET') {
        setRequestParser(() => paramsOf(url.searchParams));
      } else if (request.method === 'POST') {
        const type = request.headers.get('content-type') ?? '';
        if (type.startsWith('multipart/form-data')) return;
        if (!JSON_TYPES.test(type)) {
          throw refusal(415, '`Content-Type` must be application/json, or multipart/form-data for uploads.');
        }
        const { req, res } = serverContext as unknown as NodeContext;
        setRequestParser(() => jsonParams(req, res, limit));
      }
    },
  };
}

/** Where a request carries its body: what a WeakMap knows of it would outlive it until the next full garbage collection. */
const BODY = Symbol('body');

interface Carrying {
  [BODY]: string | Promise<string> | undefined;
}

/**
 * The text of a body, read once: whoever asks again gets the same answer. Rejects with what the client is to be told: 413 beyond `limit`
 * bytes, 400 where it ends too early. Nearly every body is there when somebody asks, and is answered as it is.
 */
export function bodyOf(req: IncomingMessage, limit: number): string | Promise<string> {
  const carrying = req as IncomingMessage & Carrying;
  return (carrying[BODY] ??= arrivedBody(req, limit) ?? readBody(req, limit));
}

/** The parameters in a JSON body. Rejects as `bodyOf` does, and with 400 for what is no JSON object. */
async function jsonParams(req: IncomingMessage, res: ServerResponse, limit: number): Promise<GraphQLParams> {
  let body: string;
  try {
    body = await bodyOf(req, limit);
  } catch (error) {
    // What is left of it must not stand in the way of the next request on the connection.
    discardRest(req, res);
    throw error;
  }
  return parseBody(body);
}

function paramsOf(search: URLSearchParams): GraphQLParams {
  const json = (name: string): Record<string, unknown> | undefined => {
    const text = search.get(name);
    return text === null || text === '' ? undefined : (parse(text, `\`${name}\``) as Record<string, unknown>);
  };
  const operationName = search.get('operationName');
  const query = search.get('query');
  const documentId = search.get('documentId');
  const variables = json('variables');
  const extensions = json('extensions');
  return {
    ...(operationName === null ? {} : { operationName }),
    ...(query === null ? {} : { query }),
    ...(documentId === null ? {} : { documentId }),
    ...(variables === undefined ? {} : { variables }),
    ...(extensions === undefined ? {} : { extensions }),
  };
}

/** Without the events by which a stream is read, which cost more than the reading. */
function arrivedBody(req: IncomingMessage, limit: number): string | undefined {
  if (!req.complete || req.readableLength > limit) return undefined;
  const body = req.read() as Buffer | null;
  return body === null ? undefined : body.toString();
}

function readBody(req: IncomingMessage, limit: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    req.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= limit) {
        chunks.push(chunk);
        return;
      }
      // The rest of a body that is too large is not awaited, but the request stays, so that it can be answered.
      req.pause().removeAllListeners('data');
      const most = String(limit);
      reject(refusal(413, `A JSON body can have at most ${most} bytes: send files as multipart/form-data.`));
    });
    req.once('end', () => {
      const [only] = chunks;
      resolve((chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks, size)).toString());
    });
    // Whoever went in the middle of it, or was too slow: nothing is wrong here.
    const early = (): void => {
      if (!req.readableEnded) reject(refusal(400, 'The body was cut off: send the request again.'));
    };
    req.once('error', early);
    req.once('close', early);
  });
}

function parseBody(text: string): GraphQLParams {
  const params = parse(text, 'The body');
  if (params === null || typeof params !== 'object' || Array.isArray(params)) {
    throw refusal(
      400,
      'The body must be one JSON object with `query` or `documentId`, and optionally `variables` and `operationName`.',
    );
  }
  return params;
}

function parse(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw refusal(400, `${what} is not valid JSON.`);
  }
}

const refusal = (status: number, message: string): Error =>
  createGraphQLError(message, { extensions: { code: 'BAD_REQUEST', http: { status } } });
