import {
  getOperationAST,
  OperationTypeNode,
  type DocumentNode,
  type ExecutionResult,
  type GraphQLSchema,
} from 'graphql';
import { processRegularResult, type GraphQLParams, type YogaServerInstance } from 'graphql-yoga';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { answerText } from '../graphql/answer-text.js';
import type { Context } from '../graphql/context.js';
import { paramsIn, type GivenParams } from '../graphql/params.js';
import type { PersistedDocuments } from '../graphql/persisted-documents.js';
import type { Enveloped } from '../live/enveloped.js';
import { executeFor, type TransportContext } from '../live/execution-plugin.js';
import { answerTypeFor, EVENT_STREAM, type JsonType } from './accept.js';
import { isPlainJson } from './content-type.js';
import { endOfTurn } from './end-of-turn.js';
import { toClientAnswer } from './error-plugin.js';
import { JSON_HEADERS } from './json-answer.js';
import { bodyOf } from './json-body.js';
import { textCache } from './text-cache.js';

export interface PlainJsonDeps {
  readonly schema: GraphQLSchema;
  readonly yoga: YogaServerInstance<TransportContext, object>;
  readonly documents: PersistedDocuments;
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
  { schema, yoga, documents, bodyLimit }: PlainJsonDeps,
  req: IncomingMessage,
  res: ServerResponse,
  parley: Context,
): Promise<boolean> {
  // Negotiate, read, prepare: up to here the other way is open.
  // The older names of the type are left to yoga.
  const type = req.method === 'POST' && isPlainJson(req) ? answerTypeFor(req.headers.accept) : undefined;
  if (type === undefined || type === EVENT_STREAM) return false;
  const body = bodyOf(req, bodyLimit);
  const given = ordinary(typeof body === 'string' ? body : await body.catch(() => ''));
  if (given === undefined) return false;
  const query = textOf(documents, given);
  if (query === undefined) return false;
  const document =
    valid.get(query) ?? prepare(yoga, { req, res, parley, params: { ...given, query } }, query);
  const { variables: variableValues, operationName } = given;
  if (document === undefined || !isOrdinaryOperation(document, operationName)) return false;

  // Execute, answer.
  const executed = executeFor(parley, { schema, document, variableValues, operationName });
  const result = executed instanceof Promise ? await executed : executed;
  await send(yoga, res, toClientAnswer(result, parley), type, parley.requestId);
  return true;
}

type OrdinaryParams = Pick<GraphQLParams, 'query' | 'operationName' | 'variables'>;

/** The parameters in a body, where they are what the specification says; yoga tells what is wrong with others. */
function ordinary(body: string): OrdinaryParams | undefined {
  let params: unknown;
  try {
    params = JSON.parse(body);
  } catch {
    return undefined;
  }
  if (typeof params !== 'object' || params === null || Array.isArray(params)) return undefined;
  const given = paramsIn(params as Readonly<Record<string, unknown>>);
  return isOrdinary(given) ? (given as OrdinaryParams) : undefined;
}

const isOrdinary = ({ query, documentId, operationName, variables, extensions }: GivenParams): boolean =>
  isText(query) && isText(documentId) && isText(operationName) && isMap(variables) && isMap(extensions);

const isText = (value: unknown): boolean => value === undefined || typeof value === 'string';
const isMap = (value: unknown): boolean =>
  value === undefined || (typeof value === 'object' && !Array.isArray(value));

/** The text, where the request means one that may run. */
function textOf(documents: PersistedDocuments, params: OrdinaryParams): string | undefined {
  try {
    return documents.textOf(params);
  } catch {
    return undefined;
  }
}

/** Documents that were found valid, and within the limits, by their text. */
const valid = textCache<DocumentNode>();

/** The document, where it is valid. */
function prepare(yoga: PlainJsonDeps['yoga'], initial: object, text: string): DocumentNode | undefined {
  try {
    const { schema, parse, validate } = yoga.getEnveloped(initial) as Enveloped;
    const document = parse(text);
    if (validate(schema, document).length > 0) return undefined;
    valid.set(text, document);
    return document;
  } catch {
    return undefined;
  }
}

function isOrdinaryOperation(document: DocumentNode, operationName: string | undefined): boolean {
  const operation = getOperationAST(document, operationName)?.operation;
  return operation !== undefined && operation !== OperationTypeNode.SUBSCRIPTION;
}

/** As Node takes headers in a row. */
const SAID: readonly string[] = Object.entries(JSON_HEADERS).flat();

async function send(
  { fetchAPI }: PlainJsonDeps['yoga'],
  res: ServerResponse,
  answer: ExecutionResult,
  type: JsonType,
  requestId: string,
): Promise<void> {
  let status = 200;
  const headers = ['x-request-id', requestId, ...SAID];
  let text: string;
  if (answer.errors === undefined) {
    headers.push('content-type', `${type}; charset=utf-8`);
    text = answerText(answer);
  } else {
    const response = processRegularResult({ ...answer, stringify: answerText }, fetchAPI, type);
    status = response.status;
    for (const [name, value] of response.headers) if (name !== 'content-length') headers.push(name, value);
    text = await response.text();
  }
  const bytes = Buffer.byteLength(text);
  headers.push('content-length', String(bytes));

  await endOfTurn();
  // The client may have gone meanwhile.
  if (res.destroyed) return;
  // Where each letter is a byte, no encoder need look for others.
  res.writeHead(status, headers).end(text, bytes === text.length ? 'latin1' : 'utf8');
}
