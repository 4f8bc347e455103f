import { createClient, type Client as SseClient } from 'graphql-sse';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { App } from '../../src/app.js';
import { startParley } from '../support/app.js';
import { signUp, type Client } from '../support/client.js';
import { Feed, ROOM_EVENTS } from '../support/live.js';

/** graphql-sse's own client, in its distinct connections mode. */
describe('the client of graphql-sse', () => {
  let app: App;
  let ada: Client;
  let bob: Client;
  let roomId: string;
  let client: SseClient;

  beforeAll(async () => {
    app = await startParley();
    [ada, bob] = await Promise.all([signUp(app.url), signUp(app.url)]);
    roomId = await ada.createRoom();
    await bob.join(roomId);
    client = createClient({ url: `${app.url}/graphql`, headers: bob.headers(), retryAttempts: 0 });
  });
  afterAll(async () => {
    client.dispose();
    await app[Symbol.asyncDispose]();
  });

  const subscribe = (query: string, variables: Record<string, unknown>): Feed =>
    new Feed((feed) =>
      client.subscribe(
        { query, variables },
        {
          next: (result) => feed.results.push(result.errors === undefined ? result.data : result),
          error: (error) => {
            feed.error = error;
          },
          complete: () => {
            feed.completed = true;
          },
        },
      ),
    );

  test('follows a room from a cursor on, and stops when it likes', async () => {
    const { eventCursor } = await ada.post(roomId, 'seen');
    await ada.post(roomId, 'missed');
    const feed = subscribe(ROOM_EVENTS, { roomId, after: eventCursor });
    expect(await feed.take(2, 'roomEvents')).toMatchObject([
      { __typename: 'MessageAdded', message: { body: 'missed' }, actor: { handle: ada.handle } },
      { __typename: 'Checkpoint' },
    ]);
    await ada.post(roomId, 'live');
    const [, , event] = await feed.take(3, 'roomEvents');
    expect(event).toMatchObject({ __typename: 'MessageAdded', message: { body: 'live' } });
    feed.stop();
    await feed.end();
    expect(feed.error).toBeUndefined();
  });

  test('is told by a last answer without data why a subscription ended', async () => {
    const feed = subscribe(ROOM_EVENTS, { roomId });
    await feed.take(1, 'roomEvents');
    await ada.run(`mutation ($input: RemoveMemberInput!) { removeMember(input: $input) { memberId } }`, {
      input: { roomId, userId: bob.userId },
    });
    await feed.end();
    expect(feed.error).toBeUndefined();
    expect(feed.results.at(-1)).toEqual({
      errors: [expect.objectContaining({ extensions: { code: 'FORBIDDEN' } })],
    });
  });

  test('is told the same way why a subscription cannot begin', async () => {
    const feed = subscribe(ROOM_EVENTS, { roomId, after: 'no cursor' });
    await feed.end();
    expect(feed.results).toMatchObject([{ errors: [{ extensions: { code: 'FORBIDDEN' } }] }]);

    const own = await bob.createRoom();
    const broken = subscribe(ROOM_EVENTS, { roomId: own, after: 'no cursor' });
    await broken.end();
    expect(broken.results).toMatchObject([{ errors: [{ extensions: { code: 'BAD_CURSOR' } }] }]);
  });

  test('asks queries too', async () => {
    const feed = subscribe('{ viewer { user { handle } } }', {});
    expect(await feed.take(1, 'viewer')).toEqual([{ user: { handle: bob.handle } }]);
    await feed.end();
    expect(feed.completed).toBe(true);
  });
});
