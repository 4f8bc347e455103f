import type { Client as WsClient } from 'graphql-ws';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { App } from '../../src/app.js';
import { makePlace, startOn, type Place } from '../support/app.js';
import { Client, signUp, word, type GraphQLAnswer } from '../support/client.js';
import { untilReadiness } from '../support/readiness.js';
import { closed, connect } from '../support/connected-socket.js';
import { eventually } from '../support/deadline.js';
import { live, ROOM_EVENTS, subscribe } from '../support/live.js';
import { isMissing, services, startRedis, type RedisServer } from '../support/services.js';
import { sql } from '../support/uploads.js';

const TYPING = `subscription ($roomId: ID!) { typing(roomId: $roomId) { user { handle } typing } }`;
const SET_TYPING = `mutation ($input: SetTypingInput!) { setTyping(input: $input) { expiresAt } }`;

/** The same user at another process. */
const at = (url: string, { token, userId, refreshToken, handle }: Client): Client =>
  new Client(url, token, userId, refreshToken, handle);

describe.skipIf(isMissing(services.postgres) || isMissing(services.redis))(
  'Two processes on one Postgres and one Redis',
  () => {
    let place: Place;
    let first: App;
    let second: App;
    let ada: Client;
    let bob: Client;
    const sockets: WsClient[] = [];

    beforeAll(async () => {
      place = await makePlace('postgres');
      [first, second] = [await startOn(place), await startOn(place)];
      // Ada is connected to the one, Bob to the other.
      [ada, bob] = [await signUp(first.url), at(second.url, await signUp(first.url))];
      sockets.push(live(ada), live(bob));
    });
    afterAll(async () => {
      for (const socket of sockets) await socket.dispose();
      await first[Symbol.asyncDispose]();
      await second[Symbol.asyncDispose]();
      await place[Symbol.asyncDispose]();
    });

    const makeRoom = async (): Promise<string> => {
      const roomId = await ada.createRoom();
      await bob.join(roomId);
      return roomId;
    };

    test('see what happens at the other, at once and in one order', async () => {
      const roomId = await makeRoom();
      const feeds = sockets.map((socket) => subscribe(socket, ROOM_EVENTS, { roomId }));
      await Promise.all(feeds.map((feed) => feed.take(1, 'roomEvents')));
      // By the wake-ups: by the tick, which looks every two seconds, it would take twice as long.
      const begun = performance.now();
      for (let i = 0; i < 12; i++) {
        await bob.post(roomId, `from the other side ${i}`);
        await feeds[0]!.take(2 + i, 'roomEvents');
      }
      expect(performance.now() - begun).toBeLessThan(11_000);

      const posted = await Promise.all(
        Array.from({ length: 40 }, (_, i) => (i % 2 === 0 ? ada : bob).post(roomId, `message ${i}`)),
      );
      const [one, other] = await Promise.all(feeds.map((feed) => feed.take(53, 'roomEvents')));
      expect(one!.slice(1).map(({ cursor }) => cursor)).toEqual(other!.slice(1).map(({ cursor }) => cursor));
      expect(new Set(one!.slice(13).map(({ cursor }) => cursor))).toEqual(
        new Set(posted.map(({ eventCursor }) => eventCursor)),
      );
      for (const feed of feeds) feed.stop();
    });

    test('go on at the one from where the other stopped', async () => {
      const roomId = await makeRoom();
      const { eventCursor: after } = await ada.post(roomId, 'seen at the first');
      const { id } = await ada.post(roomId, 'missed');
      const feed = subscribe(sockets[1]!, ROOM_EVENTS, { roomId, after });
      expect(await feed.take(2, 'roomEvents')).toMatchObject([
        { message: { id } },
        { __typename: 'Checkpoint' },
      ]);
      feed.stop();
    });

    test('see who is typing at the other', async () => {
      const roomId = await makeRoom();
      const feed = subscribe(sockets[0]!, TYPING, { roomId });
      await eventually(10_000, 'Bob is seen typing', async () => {
        for (const typing of [true, false]) await bob.run(SET_TYPING, { input: { roomId, typing } });
        return feed.results.length >= 2;
      });
      const [began, ended] = await feed.take(2, 'typing');
      expect([began, ended]).toEqual([
        { user: { handle: bob.handle }, typing: true },
        { user: { handle: bob.handle }, typing: false },
      ]);
      feed.stop();
    });

    test('cut off at the other who is removed at the one', async () => {
      const roomId = await makeRoom();
      const feeds = [
        subscribe(sockets[1]!, ROOM_EVENTS, { roomId }),
        subscribe(sockets[1]!, TYPING, { roomId }),
      ];
      await feeds[0]!.take(1, 'roomEvents');
      await ada.run(`mutation ($input: RemoveMemberInput!) { removeMember(input: $input) { memberId } }`, {
        input: { roomId, userId: bob.userId },
      });
      const { id } = await ada.post(roomId, 'not for Bob');
      for (const feed of feeds) {
        await feed.end();
        expect(feed.codes).toEqual(['FORBIDDEN']);
      }
      expect(JSON.stringify(feeds.map(({ results }) => results))).not.toContain(id);
      expect(feeds[0]!.results.map(({ roomEvents }) => roomEvents.__typename)).toEqual(['Checkpoint']);
    });

    test('let go at the other who signs out at the one', async () => {
      const user = await signUp(first.url);
      const socket = await connect(at(second.url, user));
      await new Client(first.url).run(
        `mutation ($token: String!) { signOut(input: { refreshToken: $token }) { userId } }`,
        { token: user.refreshToken },
      );
      expect(await closed(socket)).toBe(4403);
    });

    test('let go at the other whose refresh token is spent twice at the one', async () => {
      const user = await signUp(first.url);
      const socket = await connect(at(second.url, user));
      const refresh = (token: string | undefined): Promise<GraphQLAnswer> =>
        new Client(first.url).ask(
          `mutation ($token: String!) { refreshSession(input: { refreshToken: $token }) { refreshToken } }`,
          { token },
        );
      const { data, errors } = await refresh(user.refreshToken);
      expect(errors).toEqual([]);
      expect((await refresh(data['refreshSession'].refreshToken as string)).errors).toEqual([]);
      // Its successor was used, and beyond the grace in which an answer may be lost: it was stolen.
      await sql(
        place,
        `update refresh_tokens set used_at = used_at - interval '1 hour' where used_at is not null`,
      );
      expect((await refresh(user.refreshToken)).errors[0]!.extensions['code']).toBe('UNAUTHENTICATED');
      expect(await closed(socket)).toBe(4403);
    });

    test('make one message of twins that are sent to both', async () => {
      const roomId = await makeRoom();
      for (let round = 0; round < 5; round++) {
        const key = { idempotencyKey: word() };
        const answers = await Promise.all(
          [ada, at(second.url, ada), ada, at(second.url, ada)].map((who) => who.post(roomId, 'once', key)),
        );
        expect(new Set(answers.map(({ id }) => id)).size).toBe(1);
        expect(new Set(answers.map(({ eventCursor }) => eventCursor)).size).toBe(1);
      }
      const { room } = await ada.run(`query ($id: ID!) { room(id: $id) { messages { totalCount } } }`, {
        id: roomId,
      });
      expect(room.messages.totalCount).toBe(5);
    });

    test('give one successor to a refresh token that is spent at both', async () => {
      const user = await signUp(first.url);
      const refresh = `mutation ($token: String!) { refreshSession(input: { refreshToken: $token }) { refreshToken } }`;
      const answers = await Promise.all(
        [first, second, first, second].map(({ url }) =>
          new Client(url).run(refresh, { token: user.refreshToken }),
        ),
      );
      expect(new Set(answers.map((data) => data['refreshSession'].refreshToken)).size).toBe(1);
    });

    test('read the cursors and the links of each other', async () => {
      const roomId = await makeRoom();
      for (const body of ['one', 'two']) await ada.post(roomId, body);
      const page = `query ($id: ID!, $after: String) { room(id: $id) { messages(first: 1, after: $after) { edges { cursor node { body } } } } }`;
      const { room } = await ada.run(page, { id: roomId });
      const next = await bob.run(page, { id: roomId, after: room.messages.edges[0].cursor });
      expect(next['room'].messages.edges[0].node.body).toBe('two');
      const { data } = await ada.upload(roomId, 'notes.txt', 'some text');
      const link = new URL(data['uploadFile'].file.url as string);
      expect(await (await fetch(`${second.url}${link.pathname}${link.search}`)).text()).toBe('some text');
    });
  },
);

describe.skipIf(isMissing(services.postgres) || isMissing(services.redisServer))(
  'When Redis goes away',
  () => {
    let redis: RedisServer;
    let place: Place;
    let first: App;
    let second: App;
    let ada: Client;
    let bob: Client;

    beforeAll(async () => {
      redis = await startRedis();
      place = await makePlace('postgres');
      [first, second] = [
        await startOn(place, { REDIS_URL: redis.url }),
        await startOn(place, { REDIS_URL: redis.url }),
      ];
      [ada, bob] = [await signUp(first.url), at(second.url, await signUp(first.url))];
    });
    afterAll(async () => {
      await first[Symbol.asyncDispose]();
      await second[Symbol.asyncDispose]();
      await place[Symbol.asyncDispose]();
      await redis[Symbol.asyncDispose]();
    });

    test('nothing waits for it, nothing is lost, and all goes on when it is back', async () => {
      const roomId = await ada.createRoom();
      await bob.join(roomId);
      const client = live(bob);
      const feed = subscribe(client, ROOM_EVENTS, { roomId });
      await feed.take(1, 'roomEvents');

      await redis.kill();
      const begun = performance.now();
      const lost = await ada.post(roomId, 'its wake-up is lost');
      expect(performance.now() - begun).toBeLessThan(4000);
      const [, event] = await feed.take(2, 'roomEvents', 8000);
      expect(event).toMatchObject({ message: { id: lost.id } });
      // A subscription that begins meanwhile works like any other.
      const late = subscribe(client, ROOM_EVENTS, { roomId, last: 1 });
      expect(await late.take(2, 'roomEvents')).toMatchObject([
        { message: { id: lost.id } },
        { __typename: 'Checkpoint' },
      ]);
      const second_ = await ada.post(roomId, 'lost as well');
      expect((await late.take(3, 'roomEvents', 8000))[2]).toMatchObject({ message: { id: second_.id } });
      // A sign-out is found out by looking.
      const user = await signUp(first.url);
      const socket = await connect(at(second.url, user));
      await new Client(first.url).run(
        `mutation ($token: String!) { signOut(input: { refreshToken: $token }) { userId } }`,
        { token: user.refreshToken },
      );
      expect(await closed(socket, 8000)).toBe(4403);
      expect(await untilReadiness(first.url, 'degraded')).toMatchObject({ code: 200, bus: 'down' });

      await redis.start();
      await untilReadiness(second.url, 'ok');
      await eventually(10_000, 'it wakes again, sooner than the tick', async () => {
        const count: number = feed.results.length;
        await ada.post(roomId, 'awake');
        const posted = performance.now();
        await feed.take(count + 1, 'roomEvents');
        return performance.now() - posted < 500;
      });
      const typing = subscribe(client, TYPING, { roomId });
      await eventually(10_000, 'typing goes by it again', async () => {
        for (const now of [true, false]) await ada.run(SET_TYPING, { input: { roomId, typing: now } });
        return typing.results.length > 0;
      });

      const events = feed.results.map(({ roomEvents }) => roomEvents.cursor);
      expect(new Set(events).size).toBe(events.length);
      const { room } = await ada.run(`query ($id: ID!) { room(id: $id) { messages { totalCount } } }`, {
        id: roomId,
      });
      expect(events.length - 1).toBe(room.messages.totalCount);
      await client.dispose();
    });

    test('one who is removed meanwhile is cut off within five seconds, and is told nothing of it or after it', async () => {
      const roomId = await ada.createRoom();
      await bob.join(roomId);
      const client = live(bob);
      const feed = subscribe(client, ROOM_EVENTS, { roomId });
      const typing = subscribe(client, TYPING, { roomId });
      await feed.take(1, 'roomEvents');
      await redis.kill();
      try {
        await ada.run(`mutation ($input: RemoveMemberInput!) { removeMember(input: $input) { memberId } }`, {
          input: { roomId, userId: bob.userId },
        });
        await ada.post(roomId, 'not for Bob');
        for (const one of [feed, typing]) {
          await one.end(5000);
          expect(one.codes).toEqual(['FORBIDDEN']);
        }
        expect(feed.results.map(({ roomEvents }) => roomEvents.__typename)).toEqual(['Checkpoint']);
      } finally {
        await redis.start();
        await client.dispose();
      }
    });

    test('a process starts without it, and stops', async () => {
      await redis.kill();
      try {
        await using alone = await startOn(place, { REDIS_URL: redis.url });
        const user = at(alone.url, await signUp(alone.url));
        const roomId = await user.createRoom();
        const client = live(user);
        const feed = subscribe(client, ROOM_EVENTS, { roomId });
        await feed.take(1, 'roomEvents');
        const { id } = await user.post(roomId, 'hello');
        expect((await feed.take(2, 'roomEvents', 8000))[1]).toMatchObject({ message: { id } });
        await client.dispose();
      } finally {
        await redis.start();
      }
    });
  },
);
