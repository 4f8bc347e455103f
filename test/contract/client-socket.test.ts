import { createSocket, Session, type Gap, type LiveClient, type Tokens } from 'parley/client';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import WebSocket from 'ws';
import type { App } from '../../src/app.js';
import { makePlace, startOn, type Place } from '../support/app.js';
import { signUp, type Client } from '../support/client.js';
import { eventually } from '../support/deadline.js';
import { HttpProxy } from '../support/http-proxy.js';
import { ROOM_EVENTS, subscribe, type Feed } from '../support/live.js';
import { isMissing, services } from '../support/services.js';
import { shortLivedToken } from '../support/tokens.js';
import { sql } from '../support/uploads.js';
import { Wire } from '../support/wire.js';

// As in a browser.
vi.stubGlobal('WebSocket', WebSocket);

const tokensOf = ({ token = '', refreshToken }: Client): Tokens => ({
  accessToken: token,
  accessTokenExpiresAt: new Date(Date.now() + 900_000).toISOString(),
  refreshToken,
});

const MESSAGES = `subscription ($roomId: ID!, $after: String) {
  messageAdded(roomId: $roomId, after: $after) { cursor message { body } }
}`;

describe.skipIf(isMissing(services.postgres) || isMissing(services.redis))('A socket', () => {
  let place: Place;
  /** Between the server and its database. */
  let database: Wire;
  let app: App;
  /** Between the client and the server. */
  let wire: Wire;
  let user: Client;
  let roomId: string;

  beforeAll(async () => {
    place = await makePlace('postgres');
    database = await Wire.to(place.env['DATABASE_URL']!);
    const address = new URL(place.env['DATABASE_URL']!);
    address.host = new URL(database.url).host;
    app = await startOn(place, { DATABASE_URL: address.href });
    wire = await Wire.to(app.url);
  });
  afterAll(async () => {
    await wire[Symbol.asyncDispose]();
    await app[Symbol.asyncDispose]();
    await database[Symbol.asyncDispose]();
    await place[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    wire.mend();
    database.mend();
    user = await signUp(app.url);
    roomId = await user.createRoom();
  });

  const session = (accessToken = user.token!): Session => {
    const session = new Session(`${wire.url}/graphql`);
    session.set({ ...tokensOf(user), accessToken });
    return session;
  };
  const open = (who = session(), keepAlive = 10_000): LiveClient => {
    const socket = createSocket(`${wire.url}/graphql`, who, { keepAlive });
    onTestFinished(() => socket.dispose());
    return socket;
  };
  const bodies = (feed: Feed): string[] =>
    feed.results.flatMap(({ roomEvents, messageAdded }) => (roomEvents ?? messageAdded).message?.body ?? []);

  /** Subscribes, and keeps the gaps that it is told of beside what it is sent. */
  function subscribeTold(socket: LiveClient, query: string, variables: Record<string, unknown>) {
    const gaps: Gap[] = [];
    const feed = subscribe(
      {
        subscribe: (payload, sink) =>
          socket.subscribe<any, any>(payload, { ...sink, gap: (gap) => gaps.push(gap) }),
      },
      query,
      variables,
    );
    return { feed, gaps };
  }

  test('resumes each feed behind its last event: nothing is missing, nothing comes twice', async () => {
    const socket = open();
    const early = subscribe(socket, ROOM_EVENTS, { roomId });
    await early.take(1, 'roomEvents');
    await user.post(roomId, '1');
    const late = subscribe(socket, ROOM_EVENTS, { roomId, last: 1 });
    await late.take(2, 'roomEvents');

    for (const round of [2, 3, 4]) {
      wire.cut();
      await user.post(roomId, String(round));
      wire.mend();
      await eventually(10_000, 'what was missed', () =>
        [early, late].every((feed) => bodies(feed).length >= round),
      );
    }
    await user.post(roomId, 'live');
    await eventually(10_000, 'what is live', () =>
      [early, late].every((feed) => bodies(feed).includes('live')),
    );
    expect(bodies(early)).toEqual(['1', '2', '3', '4', 'live']);
    expect(bodies(late)).toEqual(['1', '2', '3', '4', 'live']);
  });

  test('notices a connection on which nothing passes any longer, and opens another', async () => {
    const feed = subscribe(open(session(), 200), ROOM_EVENTS, { roomId });
    await feed.take(1, 'roomEvents');
    wire.silence();
    await user.post(roomId, 'into the void');
    await eventually(10_000, 'the message', () => bodies(feed).includes('into the void'));
  });

  test('gets a fresh token when its own is refused', async () => {
    const feed = subscribe(open(session('from another time')), ROOM_EVENTS, { roomId });
    expect(await feed.take(1, 'roomEvents')).toMatchObject([{ __typename: 'Checkpoint' }]);
  });

  test('renews its token before it runs out, and stays connected', async () => {
    const who = session(await shortLivedToken(place, user, 4));
    const socket = open(who);
    const [connected, closed, renewed] = [vi.fn(), vi.fn(), vi.fn()];
    socket.on('connected', connected);
    socket.on('closed', closed);
    socket.on('message', (message) => {
      if (JSON.stringify(message).includes('renewConnection')) renewed();
    });
    const began = Date.now();
    const feed = subscribe(socket, ROOM_EVENTS, { roomId });
    await feed.take(1, 'roomEvents');
    // From now on the session has another for it.
    who.set({ ...tokensOf(user), accessTokenExpiresAt: new Date().toISOString() });
    await eventually(10_000, 'the renewal', () => renewed.mock.calls.length > 0);
    // Past the end of the token that it began with.
    await eventually(10_000, 'the end of the first token', () => Date.now() - began > 5500);
    await user.post(roomId, 'still here');
    await eventually(10_000, 'the message', () => bodies(feed).includes('still here'));
    expect(connected).toHaveBeenCalledTimes(1);
    expect(closed).not.toHaveBeenCalled();
  });

  test('goes on behind its last event when the server lost its database for a while', async () => {
    const socket = open();
    const feed = subscribe(socket, ROOM_EVENTS, { roomId });
    await feed.take(1, 'roomEvents');
    await user.post(roomId, 'before');
    await eventually(10_000, 'the message', () => bodies(feed).includes('before'));

    database.cut();
    const unavailable = vi.fn();
    socket.on('message', (message) => {
      if (JSON.stringify(message).includes('UNAVAILABLE')) unavailable();
    });
    // One that begins now has to be refused.
    const another = subscribe(socket, ROOM_EVENTS, { roomId });
    await eventually(10_000, 'a refusal', () => unavailable.mock.calls.length > 0);
    expect(another.isOver).toBe(false);
    database.mend();
    await eventually(10_000, 'the database', async () => {
      const { errors } = await user.ask(
        'mutation ($input: PostMessageInput!) { postMessage(input: $input) { eventCursor } }',
        { input: { roomId, body: 'after', idempotencyKey: 'once' } },
      );
      return errors.length === 0;
    });
    await another.take(1, 'roomEvents', 20_000);
    await user.post(roomId, 'end');
    await eventually(20_000, 'the end', () => [feed, another].every((one) => bodies(one).includes('end')));
    expect(bodies(feed)).toEqual(['before', 'after', 'end']);
  });

  test('tells of events that are gone for good, and goes on behind them', async () => {
    const socket = open();
    const { feed, gaps } = subscribeTold(socket, ROOM_EVENTS, { roomId });
    await feed.take(1, 'roomEvents');
    const stock = subscribe(socket, ROOM_EVENTS, { roomId });
    await stock.take(1, 'roomEvents');

    wire.cut();
    await user.post(roomId, 'never seen');
    const { eventCursor } = await user.post(roomId, 'nor this');
    const uuid = Buffer.from(roomId.slice('room_'.length), 'base64url').toString('hex');
    await sql(place, 'delete from room_events where room_id = $1 and seq < 3', [uuid]);
    wire.mend();
    await eventually(10_000, 'the gap', () => gaps.length > 0);
    expect(gaps).toEqual([{ eventCursor }]);
    await stock.end();
    expect(stock.codes).toEqual(['CURSOR_EXPIRED']);

    await user.post(roomId, 'seen');
    await eventually(10_000, 'what is live', () => bodies(feed).includes('seen'));
    expect(bodies(feed)).toEqual(['seen']);
    expect(gaps).toHaveLength(1);
  });

  test('tells of a connection that was lost before there was a cursor to resume from', async () => {
    const socket = open();
    const { feed, gaps } = subscribeTold(socket, MESSAGES, { roomId });
    const other = subscribe(socket, ROOM_EVENTS, { roomId });
    await other.take(1, 'roomEvents');
    expect(gaps).toEqual([]);
    wire.cut();
    await user.post(roomId, 'never seen');
    wire.mend();
    await eventually(10_000, 'the gap', () => gaps.length > 0);
    expect(gaps).toEqual([{ eventCursor: undefined }]);

    await eventually(10_000, 'what is live', async () => {
      await user.post(roomId, 'seen');
      return bodies(feed).length > 0;
    });
    const seen = bodies(feed).length;
    wire.cut();
    await user.post(roomId, 'missed');
    wire.mend();
    await eventually(10_000, 'what was missed', () => bodies(feed).includes('missed'));
    expect(gaps).toHaveLength(1);
    expect(
      bodies(feed)
        .slice(seen)
        .filter((body) => body !== 'seen'),
    ).toEqual(['missed']);
  });

  test('refuses a subscription that it could not resume, and says what is missing', () => {
    const socket = open();
    for (const query of [
      'subscription ($roomId: ID!, $after: String) { roomEvents(roomId: $roomId, after: $after) { __typename } }',
      'subscription ($roomId: ID!) { fileAdded(roomId: $roomId) { cursor } }',
    ]) {
      const feed = subscribe(socket, query, { roomId });
      expect(feed.error).toMatchObject({ message: expect.stringContaining('cursor') });
    }
    const typing = subscribe(socket, 'subscription ($roomId: ID!) { typing(roomId: $roomId) { typing } }', {
      roomId,
    });
    expect(typing.isOver).toBe(false);
  });

  test('does not repeat what was refused', async () => {
    const feed = subscribe(open(), ROOM_EVENTS, { roomId: 'nonsense' });
    await feed.end();
    expect(feed.codes).toEqual(['BAD_USER_INPUT']);
  });

  test.each(['next', 'gap'] as const)('ends the feed of a consumer that throws in %s', async (where) => {
    const problem = new Error('cannot draw this');
    const fail = (): never => {
      throw problem;
    };
    const socket = open();
    const begun = vi.fn();
    const failed = new Promise((resolve) => {
      socket.subscribe(
        { query: where === 'gap' ? MESSAGES : ROOM_EVENTS, variables: { roomId } },
        { next: where === 'next' ? fail : begun, gap: fail, error: resolve, complete: () => undefined },
      );
    });
    if (where === 'gap') {
      const feed = subscribe(socket, ROOM_EVENTS, { roomId });
      await feed.take(1, 'roomEvents');
      wire.cut();
      wire.mend();
    }
    expect(await failed).toBe(problem);
    const feed = subscribe(socket, ROOM_EVENTS, { roomId });
    expect(await feed.take(1, 'roomEvents')).toMatchObject([{ __typename: 'Checkpoint' }]);
  });

  test('connects at once when the browser says that the network is back, whatever it still had to wait', async () => {
    const page = new EventTarget();
    vi.stubGlobal('addEventListener', page.addEventListener.bind(page));
    vi.stubGlobal('removeEventListener', page.removeEventListener.bind(page));
    onTestFinished(() => {
      for (const name of ['addEventListener', 'removeEventListener'])
        Reflect.deleteProperty(globalThis, name);
    });
    const socket = open();
    const closed = vi.fn();
    socket.on('closed', closed);
    const feed = subscribe(socket, ROOM_EVENTS, { roomId });
    await feed.take(1, 'roomEvents');
    wire.cut();
    // After five failures the next wait is eight seconds at least.
    await eventually(25_000, 'failed attempts', () => closed.mock.calls.length >= 6);
    wire.mend();
    await user.post(roomId, 'missed');
    page.dispatchEvent(new Event('online'));
    await eventually(3_000, 'what was missed', () => bodies(feed).includes('missed'));
  });

  test('asks a connection whether it lives when the network is back, and opens another', async () => {
    const page = new EventTarget();
    vi.stubGlobal('addEventListener', page.addEventListener.bind(page));
    onTestFinished(() => void Reflect.deleteProperty(globalThis, 'addEventListener'));
    const feed = subscribe(open(session(), 600_000), ROOM_EVENTS, { roomId });
    await feed.take(1, 'roomEvents');
    wire.silence();
    await user.post(roomId, 'into the void');
    page.dispatchEvent(new Event('online'));
    await eventually(10_000, 'the message', () => bodies(feed).includes('into the void'));
  });

  test('begins anew as another user when the session becomes theirs', async () => {
    const who = session();
    const feed = subscribe(open(who), ROOM_EVENTS, { roomId });
    await feed.take(1, 'roomEvents');
    const other = await signUp(app.url);
    const own = await other.createRoom('PRIVATE');
    who.set(tokensOf(other));
    const theirs = subscribe(open(who), ROOM_EVENTS, { roomId: own });
    await theirs.take(1, 'roomEvents');
    // In the room of the first user the other one is no member.
    await feed.end();
    expect(feed.codes).toEqual(['FORBIDDEN']);
  });

  describe('in a network that blocks WebSockets', () => {
    let proxy: HttpProxy;
    beforeAll(async () => {
      proxy = await HttpProxy.to(() => wire.url);
    });
    afterAll(() => proxy[Symbol.asyncDispose]());

    const openThrough = (who = session()): LiveClient => {
      const socket = createSocket(`${proxy.url}/graphql`, who);
      onTestFinished(() => socket.dispose());
      return socket;
    };

    test('follows by event streams: nothing is missing, nothing comes twice', async () => {
      const socket = openThrough();
      const feed = subscribe(socket, ROOM_EVENTS, { roomId });
      await feed.take(1, 'roomEvents', 20_000);
      expect(proxy.refused).toBeGreaterThanOrEqual(3);
      const refused = proxy.refused;
      await user.post(roomId, '1');
      await eventually(10_000, 'the first message', () => bodies(feed).length > 0);
      const late = subscribe(socket, ROOM_EVENTS, { roomId, last: 1 });
      await late.take(2, 'roomEvents');
      for (const round of [2, 3]) {
        wire.cut();
        await user.post(roomId, String(round));
        wire.mend();
        await eventually(20_000, 'what was missed', () =>
          [feed, late].every((one) => bodies(one).length >= round),
        );
      }
      expect([bodies(feed), bodies(late)]).toEqual([
        ['1', '2', '3'],
        ['1', '2', '3'],
      ]);
      // The second one took a stream from the start.
      expect(proxy.refused).toBe(refused);
      feed.stop();
      await feed.end();
    });

    test('ends where it was refused, gets a fresh token, and tells of gaps', async () => {
      const socket = openThrough(session('from another time'));
      const { feed, gaps } = subscribeTold(socket, MESSAGES, { roomId });
      const refused = subscribe(socket, ROOM_EVENTS, { roomId: 'nonsense' });
      const marked = subscribe(socket, ROOM_EVENTS, { roomId });
      await refused.end(20_000);
      expect(refused.codes).toEqual(['BAD_USER_INPUT']);
      await marked.take(1, 'roomEvents');
      expect(gaps).toEqual([]);
      await eventually(30_000, 'the gap', async () => {
        wire.cut();
        await user.post(roomId, 'never seen');
        wire.mend();
        // It does not say when it has begun. Where it had not yet, the next cut finds that it has.
        return eventually(8000, 'the gap', () => gaps.length > 0).catch(() => false);
      });
      expect(gaps).toEqual([{ eventCursor: undefined }]);
      expect(feed.isOver).toBe(false);
    });

    test('goes on when something between answers with a page of its own, and ends with the client', async () => {
      const socket = openThrough();
      const feed = subscribe(socket, ROOM_EVENTS, { roomId });
      await feed.take(1, 'roomEvents', 20_000);
      for (const status of [404, 403, 200, 502]) {
        const before = bodies(feed).length;
        proxy.pages = 0;
        proxy.instead = status;
        wire.cut();
        wire.mend();
        await user.post(roomId, String(status));
        await eventually(10_000, 'the page', () => proxy.pages > 0);
        proxy.instead = undefined;
        await eventually(20_000, 'what was missed', () => bodies(feed).length > before);
      }
      expect(bodies(feed)).toEqual(['404', '403', '200', '502']);
      await socket.dispose();
      await feed.end();
    });

    test('takes no event streams while HTTP does not work either', async () => {
      const feed = subscribe(openThrough(), ROOM_EVENTS, { roomId });
      wire.cut();
      const before = proxy.refused;
      await eventually(20_000, 'refusals', () => proxy.refused >= before + 4);
      expect(feed.results).toEqual([]);
      wire.mend();
      await feed.take(1, 'roomEvents', 20_000);
    });
  });
});
