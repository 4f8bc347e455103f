import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { App } from '../../src/app.js';
import { startParley } from '../support/app.js';
import { signUp, type Client } from '../support/client.js';
import { eventually } from '../support/deadline.js';
import { RawSocket, subscribing } from '../support/raw-socket.js';

const VIEWER = '{ viewer { user { handle } } }';
const MESSAGES =
  'subscription ($roomId: ID!, $after: String) { messageAdded(roomId: $roomId, after: $after) { message { body } } }';

describe('a socket', () => {
  let app: App;
  let url: string;
  let ada: Client;
  let roomId: string;
  let silent: RawSocket;

  beforeAll(async () => {
    app = await startParley();
    url = `${app.url}/graphql`;
    // It is looked at last, for it takes 10 s to be closed.
    silent = new RawSocket(url);
    ada = await signUp(app.url);
  });
  afterAll(() => app[Symbol.asyncDispose]());

  beforeEach(async () => {
    roomId = await ada.createRoom();
  });

  const signedIn = (): Promise<RawSocket> =>
    RawSocket.connect(url, { authorization: `Bearer ${ada.token!}` });
  const bodiesOf = (messages: any[]): string[] =>
    messages.map(({ payload }) => payload.data.messageAdded.message.body as string);

  test('answers a query by one next and a complete', async () => {
    const raw = await signedIn();
    raw.subscribe('a', VIEWER);
    expect((await raw.take(3)).slice(1)).toEqual([
      { id: 'a', type: 'next', payload: { data: { viewer: { user: { handle: ada.handle } } } } },
      { id: 'a', type: 'complete' },
    ]);
    raw.close();
  });

  test('carries operations side by side, and stops one when it is completed', async () => {
    // From here on, whenever they begin.
    const { eventCursor: after } = await ada.post(roomId, 'before');
    const raw = await signedIn();
    raw.subscribe('one', MESSAGES, { roomId, after });
    raw.subscribe('two', MESSAGES, { roomId, after });
    raw.subscribe('asked', VIEWER);
    await raw.take(3);
    await ada.post(roomId, 'for both');
    const heard = await raw.take(5);
    expect(
      heard
        .slice(3)
        .map(({ id }) => id)
        .sort(),
    ).toEqual(['one', 'two']);

    raw.send({ id: 'one', type: 'complete' });
    raw.subscribe('after the complete', VIEWER);
    await raw.take(7);
    await ada.post(roomId, 'for two');
    const [last] = (await raw.take(8)).slice(-1);
    expect(last).toMatchObject({
      id: 'two',
      payload: { data: { messageAdded: { message: { body: 'for two' } } } },
    });
    expect(raw.messages).toHaveLength(8);
    raw.close();
  });

  test('answers a ping with its payload, before and after the acknowledgement', async () => {
    const raw = await new RawSocket(url).opened();
    raw.send({ type: 'ping' });
    expect(await raw.take(1)).toEqual([{ type: 'pong' }]);
    raw.send({ type: 'connection_init' });
    await raw.take(2);
    raw.send({ type: 'ping', payload: { sent: 1 } });
    raw.send({ type: 'pong' });
    await raw.take(3);
    raw.subscribe('a', '{ __typename }');
    expect(await raw.take(5)).toEqual([
      { type: 'pong' },
      { type: 'connection_ack' },
      { type: 'pong', payload: { sent: 1 } },
      { id: 'a', type: 'next', payload: { data: { __typename: 'Query' } } },
      { id: 'a', type: 'complete' },
    ]);
    raw.close();
  });

  test('is signed out without a token', async () => {
    const raw = await RawSocket.connect(url);
    raw.subscribe('a', VIEWER);
    raw.subscribe('b', MESSAGES, { roomId });
    const answers = (await raw.take(4)).slice(1);
    expect(answers).toContainEqual({ id: 'a', type: 'next', payload: { data: { viewer: null } } });
    expect(answers).toContainEqual({
      id: 'b',
      type: 'error',
      payload: [expect.objectContaining({ extensions: { code: 'UNAUTHENTICATED' } })],
    });
    raw.close();
  });

  test('takes its token from the address too', async () => {
    const raw = await RawSocket.connect(`${url}?token=${ada.token!}`);
    raw.subscribe('a', VIEWER);
    expect((await raw.take(2))[1].payload.data.viewer.user.handle).toBe(ada.handle);
    raw.close();
  });

  test.each([
    ['in connectionParams', '', { authorization: 'Bearer nonsense' }],
    ['of another scheme', '', { authorization: 'Basic YTpi' }],
    ['in the address', '?token=nonsense', undefined],
  ])('is closed with 4403 for a bad token %s', async (_where, search, payload) => {
    const raw = await new RawSocket(url + search).opened();
    raw.send({ type: 'connection_init', payload });
    expect(await raw.closed()).toBe(4403);
    expect(raw.messages).toEqual([]);
  });

  test('is closed with 4403 when its sign-in ends while it is being opened', async () => {
    for (let round = 0; round < 10; round++) {
      const user = await signUp(app.url);
      const raw = await new RawSocket(url).opened();
      const ended = user.run(
        'mutation ($token: String!) { signOut(input: { refreshToken: $token }) { userId } }',
        {
          token: user.refreshToken,
        },
      );
      raw.send({ type: 'connection_init', payload: { authorization: `Bearer ${user.token!}` } });
      await ended;
      expect(await raw.closed(1500)).toBe(4403);
    }
  });

  test('tells an operation that fails by error, and goes on with the others', async () => {
    const { eventCursor: after } = await ada.post(roomId, 'before');
    const raw = await signedIn();
    raw.subscribe('going on', MESSAGES, { roomId, after });
    raw.subscribe('unknown field', '{ nothing }');
    raw.subscribe('broken', '{');
    raw.subscribe('foreign cursor', MESSAGES, { roomId, after: 'nonsense' });
    raw.subscribe('wrong variable', MESSAGES, { roomId: {} });
    raw.subscribe('no root', MESSAGES.replace('{', '{ ...on Subscription @skip(if: true) {') + '}', {
      roomId,
    });
    const answers = (await raw.take(6)).slice(1);
    const codes = answers.map(({ id, type, payload }) => [id, type, payload[0].extensions.code]);
    expect(codes.sort()).toEqual([
      ['broken', 'error', 'GRAPHQL_PARSE_FAILED'],
      ['foreign cursor', 'error', 'BAD_CURSOR'],
      ['no root', 'error', 'GRAPHQL_VALIDATION_FAILED'],
      ['unknown field', 'error', 'GRAPHQL_VALIDATION_FAILED'],
      ['wrong variable', 'error', 'BAD_USER_INPUT'],
    ]);
    await ada.post(roomId, 'still heard');
    expect(bodiesOf((await raw.take(7)).slice(6))).toEqual(['still heard']);
    raw.close();
  });

  test('takes an id again whose operation was completed in the same breath', async () => {
    const { eventCursor: after } = await ada.post(roomId, 'begin');
    const raw = await signedIn();
    raw.subscribe('a', MESSAGES, { roomId });
    raw.subscribe('ready', VIEWER);
    await raw.take(3);
    raw.sendTogether({ id: 'a', type: 'complete' }, subscribing('a', MESSAGES, { roomId, after }));
    await ada.post(roomId, 'first');
    await ada.post(roomId, 'second');
    const heard = (await raw.take(5)).slice(3);
    expect(heard).toMatchObject([
      { id: 'a', type: 'next' },
      { id: 'a', type: 'next' },
    ]);
    expect(bodiesOf(heard)).toEqual(['first', 'second']);
    raw.close();
  });

  test('takes an id again that was used, completed and used again many times in one piece', async () => {
    const raw = await signedIn();
    const again = Array.from({ length: 10 }, () => [
      subscribing('a', MESSAGES, { roomId }),
      { id: 'a', type: 'complete' },
    ]);
    raw.sendTogether(...again.flat(), subscribing('a', MESSAGES, { roomId }));
    raw.subscribe('ready', VIEWER);
    await eventually(5000, 'the subscription', async () => {
      await ada.post(roomId, 'heard');
      return raw.messages.some(({ id, type }) => id === 'a' && type === 'next');
    });
    expect(raw.messages.filter(({ id, type }) => id === 'a' && type !== 'next')).toEqual([]);
    raw.close();
  });

  test('is closed with 4409 for an id in use that is longer than a reason may be', async () => {
    for (const id of ['i'.repeat(90), 'é'.repeat(200), '😀'.repeat(100), `a${'😀'.repeat(100)}`]) {
      const raw = await signedIn();
      raw.subscribe(id, MESSAGES, { roomId });
      raw.subscribe(id, MESSAGES, { roomId });
      expect(await raw.closed()).toBe(4409);
    }
  });

  // Where no subprotocol was agreed on, ws and browsers fail the connection before they hear why.
  test.each([
    [[], 4406],
    [['graphql-ws'], 1006],
    [['nonsense'], 1006],
  ])('is refused the subprotocols %j', async (protocols, code) => {
    const raw = new RawSocket(url, protocols);
    expect(await raw.closed()).toBe(code);
    expect(raw.messages).toEqual([]);
  });

  test('is closed with 1009 for a message that is too large', async () => {
    const raw = await signedIn();
    raw.subscribe('a', VIEWER, { filling: 'x'.repeat(300 * 1024) });
    expect(await raw.closed()).toBe(1009);
  });

  test('is closed with 4408 when it never says who it is', async () => {
    expect(await silent.closed(15_000)).toBe(4408);
  });
});
