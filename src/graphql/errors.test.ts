import { InputValidationError } from '@pothos/plugin-validation';
import { buildSchema, execute, GraphQLError, parse, validate, type GraphQLFormattedError } from 'graphql';
import { describe, expect, test, vi } from 'vitest';
import { conflict, ParleyError, unauthenticated } from '../errors.js';
import type { Logger } from '../observability/logger.js';
import { toClientErrors } from './errors.js';

const logger = (): { error: ReturnType<typeof vi.fn> } & Logger =>
  ({ error: vi.fn() }) as unknown as { error: ReturnType<typeof vi.fn> } & Logger;

/** What a client is shown of one error. */
const shown = (error: unknown, log = logger()): GraphQLFormattedError =>
  toClientErrors([error], 'request-1', log)[0]!.toJSON();

const schema = buildSchema(`
  input Inner { list: [Int!] text: String! }
  input Outer { inner: Inner! }
  type Query { field(input: Outer, size: Int! = 1): Int! text: String other: String }
`);

/** The errors of a document as the engine makes them, by validation or by execution with `root`. */
async function engineErrors(
  query: string,
  variableValues: Record<string, unknown> = {},
  root: object = {},
): Promise<readonly GraphQLError[]> {
  const document = parse(query);
  const invalid = validate(schema, document);
  if (invalid.length > 0) {
    // As yoga marks them.
    for (const error of invalid) error.extensions['code'] = 'GRAPHQL_VALIDATION_FAILED';
    return invalid;
  }
  const result = await execute({ schema, document, variableValues, rootValue: root });
  return result.errors ?? [];
}

describe('An error with a code', () => {
  test('is shown with its code, its details and its place', async () => {
    const root = { text: () => Promise.reject(conflict('input.slug', 'This slug is taken.')) };
    const [error] = await engineErrors('{ text }', {}, root);
    expect(shown(error)).toEqual({
      message: 'This slug is taken.',
      path: ['text'],
      locations: [{ line: 1, column: 3 }],
      extensions: { code: 'CONFLICT', field: 'input.slug' },
    });
  });

  test('is found however often it was wrapped, and is not logged', () => {
    const log = logger();
    const inner = new ParleyError('RATE_LIMITED', 'Too many.', { retryAfter: 7 });
    const twice = new GraphQLError('outer', {
      originalError: new GraphQLError('inner', { originalError: inner }),
    });
    expect(shown(twice, log).extensions).toEqual({ code: 'RATE_LIMITED', retryAfter: 7 });
    expect(shown(unauthenticated(), log).extensions).toEqual({ code: 'UNAUTHENTICATED' });
    expect(log.error).not.toHaveBeenCalled();
  });

  test('stays as it is when it comes by a second time', () => {
    const [once] = toClientErrors(
      [new ParleyError('RATE_LIMITED', 'Too many.', { retryAfter: 7 })],
      'request-1',
      logger(),
    );
    const [twice] = toClientErrors([once], 'request-2', logger());
    expect(twice).toBe(once);
  });

  test('tells which input failed its validation', () => {
    const error = new InputValidationError({
      issues: [
        { message: 'Too short.', path: ['input', 'files', 2, { key: 'name' }] },
        { message: 'Too long.', path: ['input', 'other'] },
      ],
    });
    expect(shown(error)).toMatchObject({
      message: 'Too short.',
      extensions: { code: 'BAD_USER_INPUT', field: 'input.files.2.name' },
    });
  });
});

describe('What the engine refuses', () => {
  test('is a syntax error', () => {
    let error: unknown;
    try {
      parse('{ text');
    } catch (thrown) {
      error = thrown;
    }
    expect(shown(error)).toMatchObject({
      locations: [{ line: 1, column: 7 }],
      extensions: { code: 'GRAPHQL_PARSE_FAILED' },
    });
  });

  test.each([
    ['an unknown field', '{ nothing }'],
    ['a variable that is not used', 'query ($size: Int) { text }'],
    ['a variable that is not declared', '{ field(size: $size) }'],
    ['a variable of another type', 'query ($size: String!) { field(size: $size) }'],
    ['two variables of one name', 'query ($size: Int!, $size: Int!) { field(size: $size) }'],
    ['a literal of another type', '{ field(size: "much") }'],
  ])('is %s: a failed validation', async (_what, query) => {
    for (const error of await engineErrors(query)) {
      expect(shown(error).extensions).toEqual({ code: 'GRAPHQL_VALIDATION_FAILED' });
    }
    expect.hasAssertions();
  });

  const QUERY = 'query ($in: Outer) { field(input: $in) }';
  test.each([
    ['nothing for what is required', 'query ($size: Int!) { field(size: $size) }', {}, 'size'],
    ['null for what is required', 'query ($size: Int!) { field(size: $size) }', { size: null }, 'size'],
    [
      'a value of another type',
      'query ($size: Int!) { field(size: $size) }',
      { size: 'x; at "size.z"; y' },
      'size',
    ],
    ['a field of another type', QUERY, { in: { inner: { text: 5 } } }, 'in.inner.text'],
    ['an item of another type', QUERY, { in: { inner: { text: '', list: [1, 'two'] } } }, 'in.inner.list.1'],
    ['a field that is missing', QUERY, { in: { inner: {} } }, 'in.inner'],
    ['a field that is unknown', QUERY, { in: { inner: { text: '', more: 1 } } }, 'in.inner'],
    [
      'null where there is a default',
      'query ($size: Int = 2) { field(size: $size) }',
      { size: null },
      'size',
    ],
  ])('is %s in a variable: BAD_USER_INPUT that names it', async (_what, query, variables, field) => {
    const errors = await engineErrors(query, variables);
    expect(errors.map((error) => shown(error).extensions)).toEqual([{ code: 'BAD_USER_INPUT', field }]);
    expect(shown(errors[0]).message).toBe(errors[0]!.message);
  });

  test('is a request that its protocol does not know', () => {
    const error = new GraphQLError('Must provide query string.', { extensions: { code: 'ELSE' } });
    expect(shown(error)).toEqual({
      message: 'Must provide query string.',
      extensions: { code: 'BAD_REQUEST' },
    });
  });
});

describe('An error that nobody foresaw', () => {
  const MASKED = {
    message: 'Something went wrong on the server.',
    extensions: { code: 'INTERNAL_SERVER_ERROR', requestId: 'request-1' },
  };

  test('is masked, and logged whole under the same request id', async () => {
    const log = logger();
    const secret = new Error('password of the database: 123');
    const [error] = await engineErrors('{ text }', {}, { text: () => Promise.reject(secret) });
    expect(shown(error, log)).toEqual({ ...MASKED, path: ['text'], locations: [{ line: 1, column: 3 }] });
    expect(log.error).toHaveBeenCalledExactlyOnceWith(
      { err: secret, requestId: 'request-1', path: ['text'] },
      expect.any(String),
    );
  });

  test.each([
    ['a value that its type does not allow', '{ field }', { field: () => 'secret' }],
    ['nothing where there must be something', '{ field }', { field: () => null }],
    [
      "an engine's error from a resolver",
      '{ text }',
      { text: () => Promise.reject(new GraphQLError('secret')) },
    ],
  ])('is masked when it is %s', async (_what, query, root) => {
    const log = logger();
    const [error] = await engineErrors(query, {}, root);
    expect(shown(error, log)).toMatchObject(MASKED);
    expect(log.error).toHaveBeenCalledOnce();
  });

  test.each(['text', 5, null, undefined, { message: 'secret' }])(
    'is masked when it is not even an error: %j',
    (thrown) => {
      expect(shown(thrown)).toMatchObject(MASKED);
    },
  );

  test.each(['ECONNREFUSED', 'ECONNRESET', 'EPIPE', '08006', '53300', '57P01'])(
    'is UNAVAILABLE when it says %s',
    (code) => {
      const log = logger();
      const error = Object.assign(new Error('the address of the database'), { code });
      expect(shown(error, log)).toMatchObject({
        extensions: { code: 'UNAVAILABLE', requestId: 'request-1' },
      });
      expect(shown(error).message).not.toContain('address');
      expect(log.error).toHaveBeenCalledOnce();
    },
  );

  test.each(['23505', '42P01', 'ENOENT'])('is no outage when it says %s', (code) => {
    expect(shown(Object.assign(new Error('secret'), { code }))).toMatchObject(MASKED);
  });
});
