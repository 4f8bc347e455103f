import { once } from 'node:events';
import http from 'node:http';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { App } from '../../src/app.js';
import { RoomFeeds } from '../../src/events/room-feeds.js';
import { counts } from '../../src/observability/counts.js';
import { backends, makePlace, startOn, type Place } from '../support/app.js';
import { signUp, type Client } from '../support/client.js';
import { eventually } from '../support/deadline.js';
import { EventStream } from '../support/event-stream.js';
import { ROOM_EVENTS } from '../support/live.js';
import { shortLivedToken } from '../support/tokens.js';

const PLAIN = 'subscription ($roomId: ID!) { roomEvents(roomId: $roomId) { __typename } }';

describe.each(backends)('an event stream on %s', (backend) => {
  let place: Place;
  let app: App;
  let owner: Client;
  let member: Client;

  beforeAll(async () => {
    place = await makePlace(backend);
    app = await startOn(place);
    [owner, member] = await Promise.all([signUp(app.url), signUp(app.url)]);
  });
  afterAll(async () => {
    await app[Symbol.asyncDispose]();
    await place[Symbol.asyncDispose]();
  });

  const follow = (user: Client, roomId: string, headers: Record<string, string> = {}, query = ROOM_EVENTS) =>
    EventStream.open(`${app.url}/graphql`, {
      method: 'POST',
      headers: {
        accept: 'text/event-stream',
        'content-type': 'application/json',
        ...user.headers(),
        ...headers,
      },
      body: JSON.stringify({ query, variables: { roomId } }),
    });

  async function roomOfBoth(): Promise<string> {
    const roomId = await owner.createRoom();
    await member.join(roomId);
    return roomId;
  }

  test('is followed by nobody when its client goes while it is being opened', async () => {
    const roomId = await roomOfBoth();
    const before = counts.subscribers.sse;
    for (let i = 0; i < 60; i++) {
      const sent = http.request(`${app.url}/graphql`, {
        method: 'POST',
        agent: false,
        headers: { accept: 'text/event-stream', 'content-type': 'application/json', ...member.headers() },
      });
      sent.on('error', () => undefined);
      sent.end(JSON.stringify({ query: ROOM_EVENTS, variables: { roomId } }), () =>
        setTimeout(() => sent.destroy(), i % 10),
      );
      await new Promise((resolve) => sent.once('close', resolve));
    }
    // Later than all of them.
    const stream = await follow(member, roomId);
    await stream.next(1);
    stream.close();
    await eventually(5000, 'nobody is left', () => counts.subscribers.sse === before);
  });

  test('carries the cursor of each event as its id, whatever was selected', async () => {
    const roomId = await roomOfBoth();
    const stream = await follow(member, roomId, {}, PLAIN);
    await stream.next(1);
    const { eventCursor } = await owner.post(roomId, 'one');
    const [checkpoint, added] = await stream.next(2);
    expect(checkpoint?.id).toMatch(/^[\w-]{42}$/);
    expect(added).toMatchObject({
      id: eventCursor,
      data: { data: { roomEvents: { __typename: 'MessageAdded' } } },
    });
    stream.close();
  });

  test('goes on after Last-Event-ID, which beats the variables it began with', async () => {
    const roomId = await roomOfBoth();
    const first = await owner.post(roomId, 'one');
    const second = await owner.post(roomId, 'two');
    const body = { query: ROOM_EVENTS, variables: { roomId, last: 50 } };
    const stream = await EventStream.open(`${app.url}/graphql`, {
      method: 'POST',
      headers: {
        accept: 'text/event-stream',
        'content-type': 'application/json',
        'last-event-id': first.eventCursor,
        ...member.headers(),
      },
      body: JSON.stringify(body),
    });
    const [missed, checkpoint] = await stream.next(2);
    expect(missed?.id).toBe(second.eventCursor);
    expect(checkpoint?.data.data.roomEvents.__typename).toBe('Checkpoint');
    stream.close();
  });

  test.each(['*/*', 'text/*', 'TEXT/Event-Stream', 'application/json, */*;q=0.1', undefined])(
    'is the same for whoever takes it by another name: %s',
    async (accept) => {
      const roomId = await roomOfBoth();
      const { eventCursor } = await owner.post(roomId, 'one');
      // Node's fetch would add an Accept of its own.
      const request = http.request(`${app.url}/graphql`, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          ...(accept !== undefined && { accept }),
          ...member.headers(),
        },
      });
      request.end(JSON.stringify({ query: ROOM_EVENTS, variables: { roomId, last: 1 } }));
      const [response] = (await once(request, 'response')) as [http.IncomingMessage];
      expect(response.headers['content-type']).toMatch(/^text\/event-stream/);
      let text = '';
      response.on('data', (chunk: Buffer) => (text += chunk.toString()));
      await eventually(5000, 'the event with its cursor', () => text.includes(`id: ${eventCursor}\n`));
      request.destroy();
    },
  );

  test('that is not taken is refused, and leaves nothing that follows the room', async () => {
    const subscribing = vi.spyOn(RoomFeeds.prototype, 'subscribe');
    const roomId = await roomOfBoth();
    for (const accept of ['application/json', 'multipart/mixed', 'application/graphql-response+json']) {
      const response = await fetch(`${app.url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', accept, ...member.headers() },
        body: JSON.stringify({ query: ROOM_EVENTS, variables: { roomId } }),
      });
      expect(response.status).toBe(406);
    }
    // What is no answer to anything is refused before it is looked at.
    expect(subscribing).toHaveBeenCalledTimes(2);
    for (const { value } of subscribing.mock.results) expect(value).toMatchObject({ isOver: true });
  });

  test('opens for a plain EventSource: a GET with the token in its address and no header of its own', async () => {
    const roomId = await roomOfBoth();
    const address = (query: string) =>
      `${app.url}/graphql?${new URLSearchParams({ query, variables: JSON.stringify({ roomId }), token: member.token! }).toString()}`;
    const stream = await EventStream.open(address(PLAIN), { headers: { accept: 'text/event-stream' } });
    const [checkpoint] = await stream.next(1);
    expect(checkpoint?.data.data.roomEvents.__typename).toBe('Checkpoint');
    stream.close();

    const query = await fetch(address('{ viewer { email } }'), { headers: { accept: 'text/event-stream' } });
    expect(query.status).toBe(403);
    expect(await query.text()).not.toContain('@example.com');
  });

  test('ends with FORBIDDEN and complete for a member who was removed, and tells them nothing more', async () => {
    const roomId = await roomOfBoth();
    const stream = await follow(member, roomId);
    await stream.next(1);
    await owner.run(
      `mutation ($roomId: ID!, $userId: ID!) { removeMember(input: { roomId: $roomId, userId: $userId }) { memberId } }`,
      { roomId, userId: member.userId },
    );
    await owner.post(roomId, 'they are gone');
    await stream.end();
    expect(stream.ended).toBe('finished');
    const [, end, complete, ...more] = stream.events;
    expect(end).toMatchObject({ event: 'next', data: { errors: [{ extensions: { code: 'FORBIDDEN' } }] } });
    expect(end?.data).not.toHaveProperty('data');
    expect(complete).toMatchObject({ event: 'complete' });
    expect(more).toEqual([]);
  });

  test('is cut without complete when its token runs out, and when its sign-in ends', async () => {
    const roomId = await roomOfBoth();
    const token = await shortLivedToken(place, member, 2);
    const expiring = await follow(member, roomId, { authorization: `Bearer ${token}` });
    await expiring.end();
    expect(expiring.events.map(({ event }) => event)).not.toContain('complete');
    expect(expiring.ended).toBe('cut');

    const leaver = await signUp(app.url);
    await leaver.join(roomId);
    const ending = await follow(leaver, roomId);
    await ending.next(1);
    await leaver.run(`mutation ($token: String!) { signOut(input: { refreshToken: $token }) { userId } }`, {
      token: leaver.refreshToken,
    });
    await ending.end();
    expect(ending.ended).toBe('cut');
  });

  test('refuses a stranger with an error, then complete', async () => {
    const roomId = await owner.createRoom('PRIVATE');
    const response = await fetch(`${app.url}/graphql`, {
      method: 'POST',
      headers: { accept: 'text/event-stream', 'content-type': 'application/json', ...member.headers() },
      body: JSON.stringify({ query: PLAIN, variables: { roomId } }),
    });
    const text = await response.text();
    expect(text).toContain('"code":"NOT_FOUND"');
    expect(text.trimEnd().endsWith('event: complete\ndata:')).toBe(true);
  });

  test('does not hold up a server that stops', async () => {
    const other = await makePlace(backend);
    const stopping = await startOn(other);
    const user = await signUp(stopping.url);
    const roomId = await user.createRoom();
    const stream = await EventStream.open(`${stopping.url}/graphql`, {
      method: 'POST',
      headers: { accept: 'text/event-stream', 'content-type': 'application/json', ...user.headers() },
      body: JSON.stringify({ query: PLAIN, variables: { roomId } }),
    });
    await stream.next(1);
    await stopping[Symbol.asyncDispose]();
    await stream.end();
    expect(stream.events.map(({ event }) => event)).not.toContain('complete');
    await other[Symbol.asyncDispose]();
  });
});
