import type { Client, SubscribePayload } from 'graphql-ws';
import { resuming } from 'parley/client';
import { expect, test } from 'vitest';

/** What no server of ours does: it sends again what it has sent. */
function repeating() {
  const sent: SubscribePayload[] = [];
  let send: (data: Record<string, unknown>) => void = () => undefined;
  const client = {
    on: () => () => undefined,
    subscribe: (payload: SubscribePayload, sink: { next(result: unknown): void }) => {
      sent.push(payload);
      send = (data) => sink.next({ data });
      return () => undefined;
    },
    terminate: () => undefined,
    dispose: () => undefined,
  } as unknown as Client;
  return { client: resuming(client), send: (event: object) => send({ roomEvents: event }), sent };
}

const query =
  'subscription ($after: String) { roomEvents(roomId: "r", after: $after) { __typename cursor } }';

test('An event that comes again is not delivered again, and a checkpoint is', () => {
  const { client, send } = repeating();
  const delivered: unknown[] = [];
  client.subscribe(
    { query },
    {
      next: ({ data }) => delivered.push(data?.['roomEvents']),
      error: () => undefined,
      complete: () => undefined,
    },
  );
  const [a, b, c] = ['a', 'b', 'c'].map((cursor) => ({ __typename: 'MessageAdded', cursor }));
  const checkpoint = { __typename: 'Checkpoint', cursor: 'b' };
  for (const event of [a, b, checkpoint, checkpoint, a, b, b, c]) send(event!);
  expect(delivered).toEqual([a, b, checkpoint, checkpoint, c]);
});

test('Where no event says its type, one with the cursor of the last is taken for a checkpoint', () => {
  const { client, send } = repeating();
  const delivered: unknown[] = [];
  client.subscribe(
    { query },
    {
      next: ({ data }) => delivered.push((data?.['roomEvents'] as { cursor: string }).cursor),
      error: () => undefined,
      complete: () => undefined,
    },
  );
  for (const cursor of ['a', 'b', 'b', 'a', 'c']) send({ cursor });
  expect(delivered).toEqual(['a', 'b', 'b', 'c']);
});

test('What is remembered of a long feed is bounded', () => {
  const { client, send } = repeating();
  let delivered = 0;
  client.subscribe({ query }, { next: () => delivered++, error: () => undefined, complete: () => undefined });
  for (let i = 0; i < 5000; i++) send({ __typename: 'MessageAdded', cursor: String(i) });
  send({ __typename: 'MessageAdded', cursor: '4001' });
  expect(delivered).toBe(5000);
  send({ __typename: 'MessageAdded', cursor: '3999' });
  expect(delivered).toBe(5001);
});
