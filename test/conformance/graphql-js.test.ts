import fc from 'fast-check';
import { execute, GraphQLError, parse, validate, type ExecutionResult } from 'graphql';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { App } from '../../src/app.js';
import { Context } from '../../src/graphql/context.js';
import { toClientErrors } from '../../src/graphql/errors.js';
import type * as httpServer from '../../src/http/server.js';
import { createLogger } from '../../src/observability/logger.js';
import { schema } from '../../src/schema.js';
import { startParley } from '../support/app.js';
import { signUp, type Client } from '../support/client.js';
import { randomDocument, type KnownValues, type RandomDocument } from '../support/random-documents.js';
import { RawSocket } from '../support/raw-socket.js';
import { picture } from '../support/uploads.js';
import { WAYS } from '../support/ways.js';

/*
 * Random queries of the real schema, by every way in, beside graphql-js itself with the same services: data, and messages, paths and
 * locations of errors are the same. https://github.com/graphql/graphql-js (MIT)
 * Exceptions, by every way alike: what asks for too much is refused as a whole (QUERY_TOO_COMPLEX), and so is what cannot be priced for an argument that
 * is wrong, with the error that it has in its field; and errors of our own are shown as errors.ts says.
 */

const DOCUMENTS = Number(process.env['DOCUMENTS'] ?? 100);
const SEED = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31));
/** Characters of an address that every proxy passes on. */
const ADDRESS = 8000;

let parts: httpServer.HttpDeps;

vi.mock('../../src/http/server.js', async (original) => {
  const real = await original<typeof httpServer>();
  const createHttpServer: typeof real.createHttpServer = (deps) => {
    parts = deps;
    return real.createHttpServer(deps);
  };
  return { ...real, createHttpServer };
});

describe('random documents', () => {
  let app: App;
  let ada: Client;
  let socket: RawSocket;
  let known: KnownValues;
  let asked = 0;
  const logger = createLogger('silent');

  beforeAll(async () => {
    app = await startParley('embedded', { INTROSPECTION: 'on' });
    const bob = await signUp(app.url);
    ada = await signUp(app.url);
    const [roomId, hidden] = [await ada.createRoom(), await bob.createRoom('PRIVATE')];
    await bob.join(roomId);
    const messages = [
      await ada.post(roomId, 'one'),
      await bob.post(roomId, 'two'),
      await bob.post(hidden, 'x'),
    ];
    const file = (await ada.upload(roomId, 'soup.png', picture(200))).data['uploadFile'].file;
    const { room } = await ada.run('query ($id: ID!) { room(id: $id) { slug } }', { id: roomId });
    known = {
      ids: [
        roomId,
        roomId,
        hidden,
        ada.userId,
        bob.userId,
        file.id,
        ...messages.map(({ id }) => id),
        'x',
        'room_x',
      ],
      texts: [room.slug, bob.handle, 'soup', 'image/png', 'image/*', '', 'x', 'ü "x"'],
    };
    socket = await RawSocket.connect(`${app.url}/graphql`, { authorization: `Bearer ${ada.token!}` });
  });
  afterAll(async () => {
    socket.close();
    await app[Symbol.asyncDispose]();
  });

  /** What graphql-js answers by itself. */
  async function reference({ query, variables }: RandomDocument): Promise<ExecutionResult> {
    const result = await answered(query, variables);
    return { ...result, ...(result.errors && { errors: toClientErrors(result.errors, '', logger) }) };
  }
  async function answered(query: string, variableValues: object): Promise<ExecutionResult> {
    try {
      const document = parse(query);
      const errors = validate(schema, document);
      if (errors.length > 0) return { errors: errors.map((error) => coded(error)) };
      const authentication = await parts.authenticator.fromToken(ada.token!);
      const contextValue = new Context(
        parts.contextParts({ headers: {} } as never, authentication, 'the reference'),
      );
      return await execute({ schema, document, contextValue, variableValues: { ...variableValues } });
    } catch (error) {
      if (error instanceof GraphQLError) return { errors: [error] };
      throw error;
    }
  }

  const post = async (body: RequestInit['body'], headers: Record<string, string>): Promise<Response> =>
    fetch(`${app.url}/graphql`, { method: 'POST', headers: { ...ada.headers(), ...headers }, body: body! });
  const json = async (type: string, document: RandomDocument): Promise<unknown> =>
    (await post(JSON.stringify(document), { 'content-type': type })).json();

  const ways: Record<string, (document: RandomDocument) => Promise<unknown>> = {
    'the short way': (document) => json(WAYS.short, document),
    'the long way': (document) => json(WAYS.long, document),
    multipart: async (document) => {
      const form = new FormData();
      form.set('operations', JSON.stringify(document));
      form.set('map', '{}');
      return (await post(form, { 'apollo-require-preflight': '1' })).json();
    },
    GET: async ({ query, variables }) => {
      const search = new URLSearchParams({ query, variables: JSON.stringify(variables) }).toString();
      if (search.length > ADDRESS) return undefined;
      const headers = { ...ada.headers(), 'x-graphql-yoga-csrf': '1' };
      return (await fetch(`${app.url}/graphql?${search}`, { headers })).json();
    },
    SSE: async (document) => {
      const headers = { 'content-type': 'application/json', accept: 'text/event-stream' };
      const text = await (await post(JSON.stringify(document), headers)).text();
      const [, data] = /^event: next\ndata: (.*)\n\nevent: complete\ndata:\n\n$/.exec(text) ?? [];
      return JSON.parse(data ?? text);
    },
    WebSocket: async ({ query, variables }) => {
      asked += 1;
      const id = String(asked);
      const before = socket.messages.length;
      socket.subscribe(id, query, variables);
      const [first] = (await socket.take(before + 1)).slice(before);
      if (first.type === 'error') return { errors: first.payload };
      await socket.take(before + 2);
      return first.payload;
    },
  };

  test(
    `are answered as graphql-js answers them, by every way in (DOCUMENTS=${DOCUMENTS} SEED=${SEED})`,
    { timeout: 30_000 + DOCUMENTS * 1000 },
    async () => {
      const seen = { whole: 0, refused: 0, tooComplex: 0 };
      await fc.assert(
        fc.asyncProperty(fc.gen(), async (gen) => {
          const document = randomDocument((below) => gen(fc.nat, below - 1), known);
          const expected = comparable(await reference(document));
          let refusal: unknown;
          for (const [way, send] of Object.entries(ways)) {
            const answer = await send(document);
            if (answer === undefined) continue;
            if (isRefusal(answer, expected)) refusal ??= comparable(answer);
            expect({ ...document, way, answer: comparable(answer) }).toEqual({
              ...document,
              way,
              answer: refusal ?? expected,
            });
          }
          seen[refusal !== undefined ? 'tooComplex' : expected.errors.length > 0 ? 'refused' : 'whole'] += 1;
        }),
        { numRuns: DOCUMENTS, seed: SEED, endOnFailure: true },
      );
      // Neither are all of them refused, nor none.
      expect(seen.tooComplex).toBeLessThan(DOCUMENTS / 2);
      expect(seen.whole).toBeGreaterThan(0);
      expect(seen.refused).toBeGreaterThan(0);
    },
  );

  test('are refused in a batch, each by an error', async () => {
    const answer = await json(WAYS.short, [{ query: '{ __typename }' }] as never);
    expect(answer).toEqual([{ errors: [expect.objectContaining({ extensions: { code: 'BAD_REQUEST' } })] }]);
  });
});

/** As the server marks what validation finds. */
const coded = (error: GraphQLError): GraphQLError => {
  error.extensions['code'] ??= 'GRAPHQL_VALIDATION_FAILED';
  return error;
};

/** What has to be the same. Errors that happen beside each other may come in either order; links tell the second they were made in. */
function comparable(answer: unknown): { readonly data: unknown; readonly errors: readonly string[] } {
  const text = JSON.stringify(answer).replaceAll(/expires=\d+&signature=[\w-]+/g, 'signed');
  const { data, errors = [] } = JSON.parse(text) as { data?: unknown; errors?: readonly GraphQLError[] };
  const said = errors.map(({ message, path, locations }) => JSON.stringify({ message, path, locations }));
  return { data, errors: said.sort() };
}

/** Whether an answer is none for what the document asks for: too much, or what the error of an argument leaves open. */
function isRefusal(answer: unknown, { errors }: { readonly errors: readonly string[] }): boolean {
  if (JSON.stringify(answer).includes('"QUERY_TOO_COMPLEX"')) return true;
  const { data, errors: [only] = [] } = answer as { data?: unknown; errors?: readonly GraphQLError[] };
  if (data !== undefined || only?.extensions['code'] !== 'BAD_USER_INPUT' || only.path !== undefined)
    return false;
  return errors.some((error) => (JSON.parse(error) as GraphQLError).message === only.message);
}
