import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import WebSocket from 'ws';
import { AccountsService } from '../../src/accounts/accounts.service.js';
import type { App } from '../../src/app.js';
import { limits } from '../../src/graphql/limits.js';
import { counts } from '../../src/observability/counts.js';
import { startParley } from '../support/app.js';
import { Client, signUp } from '../support/client.js';
import { eventually } from '../support/deadline.js';
import { live, subscribe, type Feed } from '../support/live.js';

const POST =
  'mutation ($roomId: ID!, $body: String!) { postMessage(input: { roomId: $roomId, body: $body }) { eventCursor } }';

/** What of a message is looked at here. */
interface Message {
  readonly type: string;
  readonly id?: string;
  readonly payload?: unknown;
}

describe('A socket', () => {
  let app: App;
  let ada: Client;

  beforeAll(async () => {
    app = await startParley();
    ada = await signUp(app.url);
  });
  afterAll(() => app[Symbol.asyncDispose]());

  const bodiesIn = async (roomId: string): Promise<string[]> => {
    const { room } = await ada.run(
      'query ($id: ID!) { room(id: $id) { messages(last: 100) { edges { node { body } } } } }',
      { id: roomId },
    );
    return room.messages.edges.map(({ node }: { node: { body: string } }) => node.body);
  };

  async function open(user = ada): Promise<{ ws: WebSocket; messages: Message[] }> {
    const ws = new WebSocket(`${app.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
    const messages: Message[] = [];
    ws.on('message', (data: Buffer) => messages.push(JSON.parse(data.toString()) as Message));
    await once(ws, 'open');
    ws.send(JSON.stringify({ type: 'connection_init', payload: user.headers() }));
    await once(ws, 'message');
    return { ws, messages };
  }
  const ask = (id: string, query: string, variables = {}): string =>
    JSON.stringify({ type: 'subscribe', id, payload: { query, variables } });
  const complete = (id: string): string => JSON.stringify({ type: 'complete', id });
  /** Uses an id and gives it up so many times, without a wait. */
  const piled = (times: number, id: string): string[] =>
    Array.from({ length: times }, () => [ask(id, '{ __typename }'), complete(id)]).flat();

  test('that was closed has nothing more done for it, though its client does not answer the close', async () => {
    const user = await signUp(app.url);
    const roomId = await ada.createRoom();
    await user.join(roomId);
    const client = await RawClient.open(app.url);
    client.send(JSON.stringify({ type: 'connection_init', payload: user.headers() }));
    await eventually(5000, 'the ack', () => client.text.includes('connection_ack'));
    client.send(ask('1', POST, { roomId, body: 'before' }));
    await eventually(5000, 'the answer', () => client.text.includes('eventCursor'));
    await user.run('mutation ($input: SignOutInput!) { signOut(input: $input) { userId } }', {
      input: { refreshToken: user.refreshToken },
    });
    await eventually(5000, 'the close', () => client.text.includes('Forbidden'));
    client.send(ask('2', POST, { roomId, body: 'after' }));
    // What is sent behind it on another way would be later.
    const fence = await open();
    fence.ws.send(ask('1', POST, { roomId, body: 'fence' }));
    await eventually(5000, 'the fence', async () => (await bodiesIn(roomId)).includes('fence'));
    expect(await bodiesIn(roomId)).toEqual(['before', 'fence']);
    fence.ws.terminate();
    client.socket.destroy();
  });

  test('is one of so many that a process carries; one more is told to come back later', async () => {
    const small = await startParley('embedded', { SOCKET_LIMIT: '2' });
    try {
      const url = `${small.url.replace('http', 'ws')}/graphql`;
      const connecting = () => new WebSocket(url, 'graphql-transport-ws');
      const within = [connecting(), connecting()];
      await Promise.all(within.map((ws) => once(ws, 'open')));
      const [code] = (await once(connecting(), 'close')) as [number];
      expect(code).toBe(1013);
      within[0]!.terminate();
      await eventually(5000, 'a place to be free', async () => {
        const ws = connecting();
        await once(ws, 'open');
        const closed = once(ws, 'close').then(() => false);
        ws.send('{"type":"connection_init"}');
        return Promise.race([once(ws, 'message').then(() => true), closed]);
      });
    } finally {
      await small[Symbol.asyncDispose]();
    }
  });

  test('that does not read what it asked for is not listened to until it does', async () => {
    const roomId = await ada.createRoom();
    for (let i = 0; i < 10; i++) await ada.post(roomId, `${i}`.repeat(9000));
    const copies = Array.from({ length: 20 }, (_, i) => `copy${i}: body`).join(' ');
    const page = `query ($id: ID!) { room(id: $id) { messages(first: 100) { edges { node { ${copies} } } } } }`;
    const { ws, messages } = await open();
    ws.pause();
    // 1.8 MB each: together more than the system's buffers hold.
    for (let i = 0; i < 12; i++) {
      ws.send(ask(`page ${i}`, page, { id: roomId }));
      await ada.run('{ __typename }');
    }
    ws.send(ask('post', POST, { roomId, body: 'unheard' }));
    await ada.post(roomId, 'fence');
    expect((await bodiesIn(roomId)).slice(10)).toEqual(['fence']);
    ws.resume();
    await eventually(10_000, 'the answer to the post', () =>
      messages.some(({ id, type }) => id === 'post' && type === 'next'),
    );
    expect((await bodiesIn(roomId)).slice(10)).toEqual(['fence', 'unheard']);
    expect(messages.filter(({ type }) => type === 'next')).toHaveLength(13);
    ws.terminate();
  });

  test('is answered each time, in order, by an id that it uses fifty times in a row', async () => {
    const { ws, messages } = await open();
    const answers = Array.from({ length: 50 }, (_, n) => [
      { type: 'next', id: '1', payload: { data: { [`n${n}`]: 'Query' } } },
      { type: 'complete', id: '1' },
    ]).flat();
    let used = 0;
    const use = (): void => ws.send(ask('1', `{ n${used++}: __typename }`));
    // At once after the end, when the server may not be done with the one before.
    ws.on('message', () => {
      if (messages.at(-1)?.type === 'complete' && used < 50) use();
    });
    use();
    await eventually(5000, 'all answers', () => messages.length > answers.length);
    expect(messages.slice(1)).toEqual(answers);
    ws.terminate();
  });

  test('has each of its messages looked at once, however many wait for an id to be free', async () => {
    const { ws, messages } = await open();
    const pile = piled(45, 'again');
    const parse = vi.spyOn(JSON, 'parse');
    for (const text of pile) ws.send(text);
    ws.send(ask('again', '{ last: __typename }'));
    await eventually(5000, 'the last answer', () =>
      messages.some(({ payload }) => JSON.stringify(payload) === '{"data":{"last":"Query"}}'),
    );
    expect(parse.mock.calls.filter(([text]) => pile.includes(text))).toHaveLength(pile.length);
    ws.terminate();
  });

  test('that begins and completes one id over and over has little of it executed, and holds up no other', async () => {
    const flood = await open(new Client(app.url));
    const other = await open();
    for (const text of piled(5000, '1')) flood.ws.send(text);
    flood.ws.send(ask('last', '{ __typename }'));
    other.ws.send(ask('1', '{ __typename }'));
    await eventually(5000, 'an answer to the other', () => other.messages.length === 3);
    expect(other.messages[1]).toMatchObject({ payload: { data: { __typename: 'Query' } } });
    await eventually(10_000, 'the last is complete', () =>
      flood.messages.some(({ id, type }) => id === 'last' && type === 'complete'),
    );
    flood.ws.terminate();
    other.ws.terminate();
  });

  test('has so many operations under way at once, those that it completed among them', async () => {
    let answer = (): void => undefined;
    const answered = new Promise<undefined>((resolve) => (answer = () => resolve(undefined)));
    const executed = vi.spyOn(AccountsService.prototype, 'userByHandle').mockReturnValue(answered);
    const refused = counts.errors.RATE_LIMITED;
    const { ws, messages } = await open();
    for (let n = 0; n < 300; n++) ws.send(ask(`${n}`, '{ userByHandle(handle: "nobody") { id } }'));
    await eventually(
      10_000,
      'each to have begun, or to be refused',
      () => counts.errors.RATE_LIMITED - refused === 300 - limits.socketOperations,
    );
    for (let n = 0; n < limits.socketOperations; n++) ws.send(complete(`${n}`));
    // Of what it completed the client may be told nothing more.
    ws.send(ask('not completed', '{ __typename }'));
    const last = await eventually(5000, 'word of the last', () =>
      messages.find(({ id }) => id === 'not completed'),
    );
    expect(last).toMatchObject({ type: 'error', payload: [{ extensions: { code: 'RATE_LIMITED' } }] });
    expect(executed).toHaveBeenCalledTimes(limits.socketOperations);
    expect(counts.errors.RATE_LIMITED - refused).toBe(301 - limits.socketOperations);
    answer();
    await eventually(5000, 'room for another', async () => {
      const before = messages.length;
      ws.send(ask('later', '{ __typename }'));
      await eventually(2000, 'word of it', () => messages.length > before);
      return messages[before]?.type === 'next';
    });
    ws.terminate();
  });

  test('with all operations that it may have takes another in the same breath in which one is completed', async () => {
    const roomId = await ada.createRoom();
    const follow = (id: string): string =>
      ask(id, 'subscription ($roomId: ID!) { roomEvents(roomId: $roomId) { __typename } }', { roomId });
    const { ws, messages } = await open();
    for (let n = 0; n < limits.socketOperations; n++) ws.send(follow(`${n}`));
    await eventually(5000, 'all to follow', () => messages.length > limits.socketOperations);
    // What is sent behind a first message goes in one piece.
    for (const text of ['{"type":"pong"}', complete('0'), follow('another')]) ws.send(text);
    await eventually(5000, 'word of it', () => messages.some(({ id }) => id === 'another'));
    expect(messages.filter(({ type }) => type === 'error')).toEqual([]);
    ws.terminate();
  });

  test('follows a room with so many selections at once, and with as many again when some have ended', async () => {
    const roomId = await ada.createRoom();
    const bob = await signUp(app.url);
    await bob.join(roomId);
    const select = (n: number): string =>
      `subscription ($roomId: ID!) { roomEvents(roomId: $roomId) { cursor${n}: cursor } }`;
    const [client, others] = [live(ada), live(bob)];
    const feeds = Array.from({ length: limits.roomSelections }, (_, n) =>
      subscribe(client, select(n), { roomId }),
    );
    await Promise.all(feeds.map((feed) => feed.take(1, 'roomEvents')));
    const beyond = subscribe(client, select(limits.roomSelections), { roomId });
    await beyond.end();
    expect(beyond.codes).toEqual(['RATE_LIMITED']);
    // Another of a selection that they follow, and whatever someone else selects, costs them nothing.
    await subscribe(client, select(0), { roomId }).take(1, 'roomEvents');
    await subscribe(others, select(limits.roomSelections), { roomId }).take(1, 'roomEvents');
    feeds[1]!.stop();
    await eventually(5000, 'a place to be free', async () => {
      const again = subscribe(client, select(limits.roomSelections), { roomId });
      await eventually(5000, 'it to begin or end', () => again.isOver || again.results.length > 0);
      return again.results.length > 0;
    });
    await client.dispose();
    await others.dispose();
  });

  test('follows no room with values that are longer than any that is meant', async () => {
    const roomId = await ada.createRoom();
    const client = live(ada);
    const query = `subscription ($roomId: ID!, $place: String) { roomEvents(roomId: $roomId) {
      ... on MessageAdded { room { files(first: 1, after: $place) { totalCount } } } } }`;
    const feed = subscribe(client, query, { roomId, place: 'x'.repeat(70_000) });
    await feed.end();
    expect(feed.codes).toEqual(['BAD_USER_INPUT']);
    await client.dispose();
  });

  test('follows a room with selections that cost no more than so much an event together, and with others when some have ended', async () => {
    const roomId = await ada.createRoom();
    // 6 rows of 10 files of 10, and what leads there.
    const select = (n: number): string =>
      `subscription ($roomId: ID!) { messageAdded(roomId: $roomId) { c${n}: cursor message { files { room {
        messages(first: 6) { edges { node { id files { id name mimeType size sha256 } } } } } } } } }`;
    const client = live(ada);
    const bob = await signUp(app.url);
    await bob.join(roomId);
    const feeds: Feed[] = [];
    let refused: Feed | undefined;
    for (let n = 0; refused === undefined && n < limits.roomSelections; n++) {
      const feed = subscribe(client, select(n), { roomId });
      const body = `begun ${n}`;
      await eventually(10_000, 'it to begin or end', async () => {
        if (feed.results.length === 0 && !feed.isOver) await ada.post(roomId, body);
        return feed.isOver || feed.results.length > 0;
      });
      if (feed.isOver) refused = feed;
      else feeds.push(feed);
    }
    expect(refused?.codes).toEqual(['RATE_LIMITED']);
    expect(feeds.length).toBeGreaterThan(1);
    expect(feeds.length).toBeLessThan(limits.roomEventComplexity / 1000);
    // One of those that they follow already costs nothing more, and what others follow is theirs.
    const others = live(bob);
    const [same, another] = [
      subscribe(client, select(0), { roomId }),
      subscribe(others, select(99), { roomId }),
    ];
    await eventually(10_000, 'both to have begun', async () => {
      await ada.post(roomId, 'again');
      return same.results.length > 0 && another.results.length > 0;
    });
    same.stop();
    for (const feed of feeds) feed.stop();
    await eventually(10_000, 'a place to be free', async () => {
      const again = subscribe(client, select(100), { roomId });
      await eventually(10_000, 'it to begin or end', async () => {
        await ada.post(roomId, 'once more');
        return again.isOver || again.results.length > 0;
      });
      return again.results.length > 0;
    });
    await client.dispose();
    await others.dispose();
  });

  test(
    'on which nothing moves for 30 seconds is let go, one that is read slowly is not',
    { timeout: 90_000 },
    async () => {
      const roomId = await ada.createRoom();
      for (let i = 0; i < 40; i++) await ada.post(roomId, `${i % 10}`.repeat(9000));
      const copies = Array.from({ length: 50 }, (_, i) => `copy${i}: body`).join(' ');
      const page = `query ($id: ID!) { room(id: $id) { messages(first: 100) { edges { node { ${copies} } } } } }`;
      const [still, slow] = [await open(), await open()];
      const closed = once(still.ws, 'close');
      let slowIsClosed = false;
      slow.ws.on('close', () => (slowIsClosed = true));
      // 18 MB each, in one message: more than the system's buffers hold.
      for (const { ws } of [still, slow]) {
        ws.pause();
        ws.send(ask('1', page, { id: roomId }));
      }
      const reading = setInterval(() => {
        slow.ws.resume();
        setImmediate(() => slow.ws.pause());
      }, 300);
      // A client that reads nothing is not told; the server's end of its connection is in this process too.
      const connections = (): number =>
        process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length;
      const begun = Date.now();
      // By then the connections of what was asked for above are gone.
      await eventually(30_000, 'a quiet time', () => Date.now() - begun > 20_000);
      const before = connections();
      await eventually(40_000, 'the one that stands still to be cut', () => connections() < before);
      expect(slowIsClosed).toBe(false);
      still.ws.resume();
      await closed;
      expect(still.messages.filter(({ type }) => type === 'next')).toEqual([]);
      clearInterval(reading);
      slow.ws.resume();
      await eventually(20_000, 'the whole answer', () => slow.messages.some(({ type }) => type === 'next'));
      slow.ws.terminate();
    },
  );
});

/** A client that answers nothing by itself, a close least of all. */
class RawClient {
  text = '';

  private constructor(readonly socket: Socket) {
    socket.on('data', (data: Buffer) => (this.text += data.toString('latin1')));
  }

  static async open(url: string): Promise<RawClient> {
    const { hostname, port } = new URL(url);
    const client = new RawClient(connect(Number(port), hostname));
    client.socket.write(
      [
        'GET /graphql HTTP/1.1',
        `Host: ${hostname}`,
        'Connection: Upgrade',
        'Upgrade: websocket',
        'Sec-WebSocket-Version: 13',
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
        'Sec-WebSocket-Protocol: graphql-transport-ws',
        '\r\n',
      ].join('\r\n'),
    );
    await eventually(5000, 'the handshake', () => client.text.includes('\r\n\r\n'));
    return client;
  }

  /** One text frame, masked with zeros. */
  send(text: string): void {
    const payload = Buffer.from(text);
    const head = Buffer.alloc(8);
    head[0] = 0x81;
    head[1] = 0x80 | 126;
    head.writeUInt16BE(payload.length, 2);
    this.socket.write(Buffer.concat([head, payload]));
  }
}
