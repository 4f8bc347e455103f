import { getOperationAST, OperationTypeNode, type DocumentNode, type ExecutionResult } from 'graphql';
import { processRegularResult, type GraphQLParams, type YogaServerInstance } from 'graphql-yoga';
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { Context } from '../graphql/context.js';
import type { Enveloped } from '../live/enveloped.js';
import type { TransportContext } from '../live/execution-plugin.js';
import { jsonTypeFor, type JsonType } from './accept.js';
import { toClientAnswer } from './error-plugin.js';
import { jsonParams } from './request-params.js';

export interface PlainJsonDeps {
  readonly yoga: YogaServerInstance<TransportContext, object>;
  /** Bytes of a body. */
  readonly bodyLimit: number;
}

/**
 * The short way in, for what nearly every request is: a query or mutation, POSTed as JSON and answered in JSON. It goes from Node's
 * request to yoga's functions (with all plugins around them) and back, past the Request, Response and hooks of yoga's own handler.
 *
 * Answers false, with nothing executed and nothing sent, for everything else: other methods and media types, subscriptions, and whatever
 * is refused before it is executed. Those are for yoga's handler, which finds the body read already.
 */
export async function answerPlainJson(
  { yoga, bodyLimit }: PlainJsonDeps,
  req: IncomingMessage,
  res: ServerResponse,
  parley: Context,
): Promise<boolean> {
  // Negotiate, read, prepare: up to here the other way is open.
  const type = plainJson(req) ? jsonTypeFor(req.headers.accept) : undefined;
  if (type === undefined) return false;
  const params = await jsonParams(req, bodyLimit).catch(() => undefined);
  if (!isOrdinary(params)) return false;
  const enveloped = yoga.getEnveloped({ req, res, parley, params }) as Enveloped;
  const document = prepare(enveloped, params);
  if (document === undefined) return false;

  // Execute, answer.
  const result = await enveloped.execute({
    schema: enveloped.schema,
    document,
    contextValue: await enveloped.contextFactory(),
    variableValues: params.variables,
    operationName: params.operationName,
  });
  await send(yoga, res, toClientAnswer(result, parley), type);
  return true;
}

type OrdinaryParams = Pick<GraphQLParams, 'operationName' | 'variables'> & { readonly query: string };

/** The older names of the type are left to yoga. */
const plainJson = ({ method, headers }: IncomingMessage): boolean =>
  method === 'POST' && /^application\/json\s*(;|$)/i.test(headers['content-type'] ?? '');

/** Whether the parameters are what the specification says; yoga tells what is wrong with others. */
function isOrdinary(params: GraphQLParams | undefined): params is OrdinaryParams {
  if (typeof params?.query !== 'string') return false;
  return Object.entries(params).every(
    ([name, value]) =>
      value == null ||
      ((name === 'query' || name === 'operationName') && typeof value === 'string') ||
      ((name === 'variables' || name === 'extensions') && typeof value === 'object' && !Array.isArray(value)),
  );
}

/** The document, where it is one to execute here: valid, and a query or mutation. */
function prepare(enveloped: Enveloped, params: OrdinaryParams): DocumentNode | undefined {
  try {
    const document = enveloped.parse(params.query);
    if (enveloped.validate(enveloped.schema, document).length > 0) return undefined;
    const operation = getOperationAST(document, params.operationName);
    return operation == null || operation.operation === OperationTypeNode.SUBSCRIPTION ? undefined : document;
  } catch {
    return undefined;
  }
}

async function send(
  { fetchAPI }: PlainJsonDeps['yoga'],
  res: ServerResponse,
  answer: ExecutionResult,
  type: JsonType,
): Promise<void> {
  let status = 200;
  let headers: OutgoingHttpHeaders = { 'content-type': `${type}; charset=utf-8` };
  let text: string;
  if (answer.errors === undefined) {
    text = JSON.stringify(answer);
  } else {
    const response = processRegularResult(answer, fetchAPI, type);
    status = response.status;
    headers = Object.fromEntries(response.headers);
    text = await response.text();
  }
  // The client may have gone meanwhile.
  if (res.destroyed) return;
  res.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(text) }).end(text);
}
