import type { GraphQLSchema } from 'graphql';
import { createYoga, type YogaServerInstance } from 'graphql-yoga';
import type { Config } from '../config/config.js';
import { limitPlugins } from '../graphql/limit-plugins.js';
import { limits } from '../graphql/limits.js';
import type { PersistedDocuments } from '../graphql/persisted-documents.js';
import type { LiveConnections } from '../live/connections.js';
import { useExecution, type TransportContext } from '../live/execution-plugin.js';
import { useAnswerType } from './answer-type.js';
import { usePreflight } from './csrf.js';
import { usePersistedDocuments } from './documents-plugin.js';
import { useClientErrors } from './error-plugin.js';
import { useMultipart } from './multipart-plugin.js';
import { useRefusal } from './refusal-plugin.js';
import { useRequestParams } from './request-params.js';
import { useSse } from './sse-plugin.js';
import { textCache } from './text-cache.js';

/** GraphQL over HTTP: POST and GET, multipart requests, SSE by `Accept: text/event-stream`. */
export function createGraphQL(
  schema: GraphQLSchema,
  { uploads }: Pick<Config, 'uploads'>,
  documents: PersistedDocuments,
  connections: LiveConnections,
): YogaServerInstance<TransportContext, object> {
  return createYoga<TransportContext>({
    schema,
    graphqlEndpoint: '/graphql',
    // GraphiQL, the landing page and the health check are answered before yoga is asked.
    graphiql: false,
    landingPage: false,
    healthCheckEndpoint: '/livez',
    // Its own multipart parser reads the whole body into memory; its limit would count uploads too.
    multipart: false,
    maxRequestBodySize: false,
    batching: false,
    logging: false,
    maskedErrors: false,
    // Its own keep a thousand texts of any length, whether they are valid or not.
    parserAndValidationCache: { documentCache: textCache(), errorCache: textCache() },
    // Said in src/http/cors.ts, for every way in.
    cors: false,
    plugins: [
      usePreflight(),
      useRefusal(),
      useMultipart({
        maxFiles: limits.filesPerRequest,
        maxFieldBytes: limits.bodyBytes,
        maxFileBytes: uploads.maxBytes,
      }),
      useRequestParams(limits.bodyBytes),
      usePersistedDocuments(documents),
      ...limitPlugins(),
      useExecution(),
      useClientErrors(),
      useAnswerType(),
      useSse(connections),
    ],
  });
}
