import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { App } from '../../src/app.js';
import { backends, startParley } from '../support/app.js';
import { signUp, type Client } from '../support/client.js';
import { live, ROOM_EVENTS, subscribe } from '../support/live.js';

describe.each(backends)('a conversation on %s', (backend) => {
  let app: App;
  let ada: Client;
  let bob: Client;

  beforeAll(async () => {
    app = await startParley(backend);
    [ada, bob] = await Promise.all([signUp(app.url), signUp(app.url)]);
  });
  afterAll(() => app[Symbol.asyncDispose]());

  test('a message reaches a subscriber, and stands in the timeline', async () => {
    const roomId = await ada.createRoom();
    await bob.join(roomId);
    const client = live(bob);
    const feed = subscribe(client, ROOM_EVENTS, { roomId });
    const [checkpoint] = await feed.take(1, 'roomEvents');
    expect(checkpoint).toMatchObject({ __typename: 'Checkpoint', actor: null });

    const { id } = await ada.post(roomId, 'hello');
    const [, event] = await feed.take(2, 'roomEvents');
    expect(event).toMatchObject({
      __typename: 'MessageAdded',
      actor: { handle: ada.handle },
      message: { id, body: 'hello', author: { handle: ada.handle } },
    });

    const { room } = await bob.run(
      `query ($roomId: ID!) { room(id: $roomId) { messages { totalCount edges { node { id body } } } } }`,
      { roomId },
    );
    expect(room.messages).toEqual({ totalCount: 1, edges: [{ node: { id, body: 'hello' } }] });
    await client.dispose();
  });

  test('one request may ask for the same thing by node and by nodes', async () => {
    const roomId = await ada.createRoom();
    const { id } = await ada.post(roomId, 'twice');
    const answer = await ada.run(
      `query ($ids: [ID!]!, $id: ID!) { node(id: $id) { __typename id } nodes(ids: $ids) { __typename id } }`,
      { id, ids: [id, roomId, 'nothing', ada.userId, id] },
    );
    const message = { __typename: 'Message', id };
    expect(answer).toEqual({
      node: message,
      nodes: [
        message,
        { __typename: 'Room', id: roomId },
        null,
        { __typename: 'User', id: ada.userId },
        message,
      ],
    });
  });
});
