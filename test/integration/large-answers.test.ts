import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import WebSocket from 'ws';
import type { App } from '../../src/app.js';
import { startParley } from '../support/app.js';
import { Client, signUp } from '../support/client.js';
import { eventually, within } from '../support/deadline.js';
import { EventStream } from '../support/event-stream.js';
import { live, subscribe } from '../support/live.js';
import { ways } from '../support/ways.js';

const MIB = 1024 ** 2;
const MESSAGES = 20;
/** As long as one may be; 30 KB. */
const BODY = '€'.repeat(10_000);

/** Bodies of the room's messages, over and over: 0.6 MB for each copy. */
const copiesOf = (count: number): string => {
  const bodies = Array.from({ length: count }, (_, i) => `c${i}: body`).join(' ');
  return `messages(last: ${MESSAGES}) { edges { node { ${bodies} } } }`;
};
const queryOf = (count: number): string => `query ($id: ID!) { room(id: $id) { ${copiesOf(count)} } }`;
/** 6 MB, 14 MB, and 34 MB in UTF-8: more than an answer may have. */
const [LARGE, LARGER, TOO_LARGE] = [queryOf(10), queryOf(24), queryOf(58)];

let app: App;
let ada: Client;
let id: string;
beforeAll(async () => {
  app = await startParley();
  ada = await signUp(app.url);
  id = await roomOf(ada);
});
afterAll(() => app[Symbol.asyncDispose]());

async function roomOf(user: Client): Promise<string> {
  const roomId = await user.createRoom();
  for (let i = 0; i < MESSAGES; i += 1) await user.post(roomId, BODY);
  return roomId;
}

describe('An answer that is too large', () => {
  const refusal = {
    message: expect.stringMatching(/^The answer has more than 25165824 bytes\. Ask for less at once/),
    extensions: { code: 'QUERY_TOO_COMPLEX' },
  };

  test.each(ways)('is refused over HTTP, the %s way in, and one that is not is whole', async (way) => {
    const user = ada.by(way);
    expect(await user.ask(TOO_LARGE, { id })).toMatchObject({ status: 200, data: null, errors: [refusal] });
    const { data } = await user.ask(LARGE, { id });
    expect(data['room'].messages.edges[MESSAGES - 1].node.c9).toBe(BODY);
  });

  test('is refused for a GET, and as an event stream', async () => {
    const url = `${app.url}/graphql?${new URLSearchParams({ query: TOO_LARGE, variables: JSON.stringify({ id }) })}`;
    const headers = { ...ada.headers(), 'apollo-require-preflight': '1' };
    expect(await (await fetch(url, { headers })).json()).toEqual({ data: null, errors: [refusal] });
    const stream = await EventStream.open(url, { headers: { ...headers, accept: 'text/event-stream' } });
    const [event] = await stream.next(1);
    expect(event?.data).toEqual({ data: null, errors: [refusal] });
    stream.close();
  });

  test('is refused over a WebSocket, which goes on', async () => {
    const client = live(ada);
    for (const query of [TOO_LARGE, 'query ($id: ID!) { room(id: $id) { id } }']) {
      const feed = subscribe(client, query, { id });
      await feed.end();
      expect(feed.error).toBeUndefined();
      expect(feed.results).toHaveLength(1);
      if (query === TOO_LARGE) expect(feed.results[0].errors).toEqual([refusal]);
      else expect(feed.results[0].room.id).toBe(id);
    }
    await client.dispose();
  });

  test('ends a subscription, over a WebSocket and as an event stream', async () => {
    const query = `subscription ($id: ID!) { messageAdded(roomId: $id) { message { room { ${copiesOf(58)} } } } }`;
    const client = live(ada);
    const feed = subscribe(client, query, { id });
    const url = `${app.url}/graphql?${new URLSearchParams({ query, variables: JSON.stringify({ id }) })}`;
    const stream = await EventStream.open(url, {
      headers: { ...ada.headers(), 'apollo-require-preflight': '1', accept: 'text/event-stream' },
    });
    await eventually(20_000, 'both to end', async () => {
      if (!feed.isOver || stream.ended === undefined) await ada.post(id, BODY);
      return feed.isOver && stream.ended !== undefined;
    });
    expect(feed.codes).toEqual(['QUERY_TOO_COMPLEX']);
    expect(stream.events[0]?.data.errors[0].extensions.code).toBe('QUERY_TOO_COMPLEX');
    await client.dispose();
  });
});

const requestOf = (user: Client, query: string, variables: object): string => {
  const body = JSON.stringify({ query, variables });
  return [
    'POST /graphql HTTP/1.1',
    'Host: localhost',
    `Authorization: ${user.headers()['authorization'] ?? ''}`,
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    '',
    body,
  ].join('\r\n');
};

const opened = async (url: string): Promise<Socket> => {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
};

describe('A client that does not read its answers', () => {
  test('has one of them in memory, however many it asks for', { timeout: 120_000 }, async () => {
    const asked = requestOf(ada, LARGE, { id });
    const before = process.memoryUsage().rss;
    const sockets = await Promise.all(
      Array.from({ length: 10 }, async () => {
        const socket = await opened(app.url);
        socket.pause();
        socket.write(asked.repeat(30));
        return socket;
      }),
    );
    // Others are answered, after the first answer of each.
    await within(60_000, 'another answer', ada.createRoom());
    for (let i = 0; i < 20; i += 1) await ada.createRoom();
    expect(process.memoryUsage().rss - before).toBeLessThan(500 * MIB);
    for (const socket of sockets) socket.destroy();
  });

  test('has what it asked for later done once it reads', { timeout: 120_000 }, async () => {
    const slug = `later-${process.pid}`;
    const create = requestOf(
      ada,
      'mutation ($input: CreateRoomInput!) { createRoom(input: $input) { room { id } } }',
      { input: { slug, name: 'Later', visibility: 'PUBLIC' } },
    );
    const isThere = async (): Promise<boolean> =>
      (await ada.ask('query ($slug: String!) { roomBySlug(slug: $slug) { id } }', { slug })).data[
        'roomBySlug'
      ] !== null;
    const socket = await opened(app.url);
    socket.pause();
    socket.write(requestOf(ada, LARGER, { id }) + create);
    // Its answer is ready long before.
    await ada.run(LARGER, { id });
    await ada.createRoom();
    expect(await isThere()).toBe(false);
    socket.resume();
    await eventually(20_000, 'it is done', isThere);
    socket.destroy();
  });

  test('over a WebSocket is let go when more waits for it than may', { timeout: 120_000 }, async () => {
    const before = process.memoryUsage().rss;
    const ws = new WebSocket(`${app.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
    ws.on('error', () => undefined);
    await once(ws, 'open');
    ws.send(JSON.stringify({ type: 'connection_init', payload: ada.headers() }));
    await once(ws, 'message');
    ws.pause();
    for (let i = 0; i < 40; i += 1) {
      const payload = { query: LARGE, variables: { id } };
      ws.send(JSON.stringify({ type: 'subscribe', id: String(i), payload }));
    }
    // The server takes turns between it and others.
    for (let i = 0; i < 30; i += 1) await ada.createRoom();
    expect(process.memoryUsage().rss - before).toBeLessThan(500 * MIB);
    const closed = once(ws, 'close');
    ws.resume();
    const [code] = (await within(30_000, 'its end', closed)) as [number];
    expect(code).toBe(1006);
  });
});

describe('Requests that are sent without awaiting the answers', () => {
  test('are all answered, in their order', async () => {
    const socket = await opened(app.url);
    let text = '';
    socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
    const asked = Array.from({ length: 700 }, (_, i) =>
      requestOf(new Client(app.url), `{ n${i}: __typename }`, {}).replace('Authorization: \r\n', ''),
    );
    socket.write(asked.join(''));
    const numbers = (): number[] => [...text.matchAll(/"n(\d+)":/g)].map(([, n]) => Number(n));
    await eventually(30_000, 'all answers', () => numbers().length === 700);
    expect(numbers()).toEqual(Array.from({ length: 700 }, (_, i) => i));
    socket.destroy();
  });
});

describe('A server that stops', () => {
  test('waits for no request that does not come, or not to its end', { timeout: 60_000 }, async () => {
    const app = await startParley();
    const silent = await opened(app.url);
    const half = await opened(app.url);
    half.write('POST /graphql HTTP/1.1\r\nHost: loc');
    const kept = await opened(app.url);
    kept.write('GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\nGET /livez HTTP');
    await once(kept, 'data');
    const ended = [silent, half, kept].map((socket) => once(socket.resume(), 'close'));
    const begun = performance.now();
    await app[Symbol.asyncDispose]();
    expect(performance.now() - begun).toBeLessThan(15_000);
    await Promise.all(ended);
  });
});
