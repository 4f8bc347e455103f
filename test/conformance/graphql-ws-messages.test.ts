import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { App } from '../../src/app.js';
import { startParley } from '../support/app.js';
import { signUp, type Client } from '../support/client.js';
import { RawSocket } from '../support/raw-socket.js';

/*
 * What each message of a client is answered with: PROTOCOL.md of graphql-ws and what its own tests of servers look at, in our own
 * cases. https://github.com/enisdenjo/graphql-ws (MIT)
 */

/** A message of the client, or several in one piece; a number waits until so many messages have come. */
type Step = object | string | number | { readonly together: readonly object[] };

/** `messages`: all that come, in their order. `close`: the code and reason that the server ends it with. */
type Row = readonly [
  what: string,
  steps: readonly Step[],
  messages: readonly object[],
  close?: readonly [code: number, reason?: string],
];

const INIT = { type: 'connection_init' };
const ACK = { type: 'connection_ack' };
const TYPENAME = '{ __typename }';

const ask = (id: unknown, query: unknown = TYPENAME, more: object = {}): object => ({
  id,
  type: 'subscribe',
  payload: { query, ...more },
});
const complete = (id: unknown): object => ({ id, type: 'complete' });
const answered = (id: string, data: object = { __typename: 'Query' }): object[] => [
  { id, type: 'next', payload: { data } },
  complete(id),
];
const failed = (id: string, code: string): object => ({
  id,
  type: 'error',
  payload: [expect.objectContaining({ message: expect.any(String), extensions: { code } })],
});

const TWO = 'query A { a: __typename } query B { b: __typename }';

const OPENING: readonly Row[] = [
  ['connection_init without a payload is acknowledged', [INIT], [ACK]],
  ['connection_init with a payload is acknowledged', [{ ...INIT, payload: { any: ['thing'] } }], [ACK]],
  ['connection_init with null for a payload is acknowledged', [{ ...INIT, payload: null }], [ACK]],
  ['a payload that is a text', [{ ...INIT, payload: 'x' }], [], [4400]],
  ['a payload that is a list', [{ ...INIT, payload: [] }], [], [4400]],
  ['a payload that is a number', [{ ...INIT, payload: 0 }], [], [4400]],
  ['a second one at once', [{ together: [INIT, INIT] }], [], [4429, 'Too many initialisation requests']],
  ['a second one later', [INIT, 1, INIT], [ACK], [4429, 'Too many initialisation requests']],
  ['subscribe before it', [ask('a')], [], [4401, 'Unauthorized']],
  [
    'a token that is not good',
    [{ ...INIT, payload: { authorization: 'Bearer x' } }],
    [],
    [4403, 'Forbidden'],
  ],
  ['a token that is no text', [{ ...INIT, payload: { authorization: 7 } }], [], [4403, 'Forbidden']],
  ['complete before it names no operation', [complete('a'), INIT], [ACK]],
];

const PINGS: readonly Row[] = [
  ['ping is answered before the acknowledgement', [{ type: 'ping' }, 1, INIT], [{ type: 'pong' }, ACK]],
  ['ping is answered behind it', [INIT, 1, { type: 'ping' }], [ACK, { type: 'pong' }]],
  [
    'ping gets its payload back',
    [INIT, 1, { type: 'ping', payload: { a: [1, { b: 'ü' }] } }],
    [ACK, { type: 'pong', payload: { a: [1, { b: 'ü' }] } }],
  ],
  ['pong is not answered', [{ type: 'pong' }, INIT, 1, { type: 'pong', payload: { a: 1 } }], [ACK]],
  ['ping with a payload that is a text', [{ type: 'ping', payload: 'x' }], [], [4400]],
  ['ping with a payload that is a list', [{ type: 'ping', payload: [] }], [], [4400]],
  ['pong with a payload that is a number', [{ type: 'pong', payload: 1 }], [], [4400]],
];

const OPERATIONS: readonly Row[] = [
  ['a query gets one next, and complete', [INIT, 1, ask('a')], [ACK, ...answered('a')]],
  [
    'an id is any text',
    [INIT, 1, ask('1'), 3, ask('ü "x"\n')],
    [ACK, ...answered('1'), ...answered('ü "x"\n')],
  ],
  [
    'an id is free behind complete',
    [INIT, 1, ask('a'), 3, ask('a')],
    [ACK, ...answered('a'), ...answered('a')],
  ],
  [
    'an id is free behind error, which no complete follows',
    [INIT, 1, ask('a', '{ nothing }'), 2, ask('a')],
    [ACK, failed('a', 'GRAPHQL_VALIDATION_FAILED'), ...answered('a')],
  ],
  [
    'operationName says which one is meant',
    [INIT, 1, ask('a', TWO, { operationName: 'B' })],
    [ACK, ...answered('a', { b: 'Query' })],
  ],
  [
    'variables are taken',
    [INIT, 1, ask('a', 'query ($n: Boolean!) { __typename @skip(if: $n) }', { variables: { n: true } })],
    [ACK, ...answered('a', {})],
  ],
  ['a document that does not parse', [INIT, 1, ask('a', '{')], [ACK, failed('a', 'GRAPHQL_PARSE_FAILED')]],
  [
    'complete of an operation that is over is ignored',
    [INIT, 1, ask('a'), 3, complete('a')],
    [ACK, ...answered('a')],
  ],
  ['complete of an id that never was is ignored', [INIT, 1, complete('x')], [ACK]],
  [
    'what is not known beside the members is ignored',
    [INIT, 1, { ...ask('a', TYPENAME, { id: 'x', key: 1, extra: [] }), more: 1 }],
    [ACK, ...answered('a')],
  ],
  [
    'an empty operationName counts for none',
    [INIT, 1, ask('a', TYPENAME, { operationName: '' })],
    [ACK, ...answered('a')],
  ],
  [
    'empty variables count for none',
    [INIT, 1, ask('a', TYPENAME, { variables: '' })],
    [ACK, ...answered('a')],
  ],
  [
    'empty extensions count for none',
    [INIT, 1, ask('a', TYPENAME, { extensions: '' })],
    [ACK, ...answered('a')],
  ],
  [
    'nulls count for nothing',
    [INIT, 1, ask('a', TYPENAME, { operationName: null, variables: null, extensions: null })],
    [ACK, ...answered('a')],
  ],
];

const INVALID: readonly (readonly [what: string, message: object | string])[] = [
  ['no JSON', 'hello'],
  ['an empty text', ''],
  ['a number', '1'],
  ['null', 'null'],
  ['a list', []],
  ['a binary frame', Buffer.from(JSON.stringify(ask('a')))],
  ['no type', { id: 'a' }],
  ['a type that is no text', { type: 1 }],
  ['an unknown type', { type: 'start', id: 'a' }],
  ['a type in other letters', { type: 'Ping' }],
  ['connection_ack, which a server sends', ACK],
  ['next, which a server sends', { id: 'a', type: 'next', payload: { data: {} } }],
  ['error, which a server sends', { id: 'a', type: 'error', payload: [{ message: 'x' }] }],
  ['subscribe without an id', ask(undefined)],
  ['subscribe with an empty id', ask('')],
  ['subscribe with a number for an id', ask(1)],
  ['subscribe with null for an id', ask(null)],
  ['subscribe without a payload', { id: 'a', type: 'subscribe' }],
  ['subscribe with a text for a payload', { id: 'a', type: 'subscribe', payload: TYPENAME }],
  ['subscribe with a list for a payload', { id: 'a', type: 'subscribe', payload: [] }],
  ['subscribe without a query', { id: 'a', type: 'subscribe', payload: {} }],
  ['a query that is null', ask('a', null)],
  ['a query that is an object', ask('a', { kind: 'Document' })],
  ['an operationName that is a number', ask('a', TYPENAME, { operationName: 1 })],
  ['variables that are a text', ask('a', TYPENAME, { variables: '{}' })],
  ['variables that are a list', ask('a', TYPENAME, { variables: [] })],
  ['extensions that are a text', ask('a', TYPENAME, { extensions: '{}' })],
  ['extensions that are a list', ask('a', TYPENAME, { extensions: [] })],
  ['complete without an id', { type: 'complete' }],
  ['complete with an empty id', complete('')],
  ['complete with a number for an id', complete(1)],
];

describe('graphql-transport-ws', () => {
  let app: App;
  let url: string;
  let ada: Client;
  let roomId: string;

  beforeAll(async () => {
    app = await startParley();
    url = `${app.url}/graphql`;
    ada = await signUp(app.url);
    roomId = await ada.createRoom();
  });
  afterAll(() => app[Symbol.asyncDispose]());

  async function plays([, steps, messages, close]: Row): Promise<void> {
    const raw = await new RawSocket(url).opened();
    for (const step of steps) {
      if (typeof step === 'number') await raw.take(step);
      else if (typeof step === 'object' && 'together' in step) raw.sendTogether(...step.together);
      else raw.send(step);
    }
    if (close !== undefined) {
      const [code, reason] = close;
      expect(await raw.closed()).toBe(code);
      if (reason !== undefined) expect(raw.reason).toBe(reason);
    } else {
      // The answer to what comes last shows that nothing more comes before it.
      await raw.take(messages.length);
      raw.send(ask('the last'));
      await raw.take(messages.length + 2);
      raw.close();
    }
    const last = close === undefined ? answered('the last') : [];
    expect(raw.messages).toEqual([...messages, ...last]);
  }

  test.each(OPENING)('opens: %s', async (...row) => plays(row as unknown as Row));
  test.each(PINGS)('pings: %s', async (...row) => plays(row as unknown as Row));
  test.each(OPERATIONS)('operations: %s', async (...row) => plays(row as unknown as Row));
  test.each(INVALID)('is closed with 4400 for %s', async (what, message) =>
    plays([what, [INIT, 1, message], [ACK], [4400]]),
  );

  const FOLLOW = 'subscription ($id: ID!) { messageAdded(roomId: $id) { message { body } } }';
  const follow = (id: string): object => ask(id, FOLLOW, { variables: { id: roomId } });
  const signedIn = (): Promise<RawSocket> =>
    RawSocket.connect(url, { authorization: `Bearer ${ada.token!}` });

  test.each([
    ['a subscription', () => follow('a')],
    ['a query', () => ask('a')],
  ])('closes with 4409 for the id of a subscription that %s brings again', async (_what, again) => {
    const raw = await signedIn();
    raw.send(follow('a'));
    raw.send(again());
    expect(await raw.closed()).toBe(4409);
    expect(raw.reason).toBe('Subscriber for a already exists');
    expect(raw.messages).toEqual([ACK]);
  });

  test.each([
    ['a query', () => ask('a', '{ viewer { id } }')],
    ['a subscription', () => follow('a')],
  ])('sends nothing of %s that its client completes before it is answered', async (_what, message) => {
    const raw = await signedIn();
    raw.sendTogether(message(), complete('a'));
    raw.send(ask('the last'));
    await raw.take(3);
    await ada.post(roomId, 'to nobody');
    raw.send(ask('the very last'));
    expect(await raw.take(5)).toEqual([ACK, ...answered('the last'), ...answered('the very last')]);
    raw.close();
  });

  test('completes nothing that the client has completed', async () => {
    const raw = await signedIn();
    raw.send(follow('a'));
    raw.send(ask('b'));
    await raw.take(3);
    raw.send(complete('a'));
    raw.send(ask('c'));
    expect(await raw.take(5)).toEqual([ACK, ...answered('b'), ...answered('c')]);
    raw.close();
  });

  test('ends with the code that its client ends it with, in the middle of a subscription', async () => {
    const raw = await signedIn();
    raw.send(follow('a'));
    raw.leave(1000);
    expect(await raw.closed()).toBe(1000);
  });
});
