import type { Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import type { App } from '../../src/app.js';
import { LiveSocket } from '../../src/ws/socket.js';
import { SocketInbox } from '../../src/ws/socket-inbox.js';
import { startParley } from '../support/app.js';
import { signUp, type Client } from '../support/client.js';
import { eventually } from '../support/deadline.js';

interface Message {
  readonly id?: string;
  readonly type: string;
  readonly payload?: any;
}

/** A socket that says what it is told to, whatever that is. */
class RawSocket {
  readonly received: Message[] = [];
  private readonly ws: WebSocket;

  constructor(url: string) {
    this.ws = new WebSocket(`${url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
    this.ws.on('message', (data: Buffer) => this.received.push(JSON.parse(data.toString()) as Message));
    this.ws.on('error', () => undefined);
  }

  async open(token?: string): Promise<this> {
    await eventually(10_000, 'it is open', () => this.ws.readyState === WebSocket.OPEN);
    this.send({
      type: 'connection_init',
      payload: token === undefined ? {} : { authorization: `Bearer ${token}` },
    });
    await eventually(10_000, 'it is acknowledged', () => this.of('connection_ack').length === 1);
    return this;
  }

  /** All in one write of the connection. */
  send(...messages: Message[]): void {
    const { _socket: connection } = this.ws as unknown as { _socket: { cork(): void; uncork(): void } };
    connection.cork();
    for (const message of messages) this.ws.send(JSON.stringify(message));
    connection.uncork();
  }

  /** The same short message so many times, in one piece. */
  sendRepeated(message: Message, times: number): void {
    const text = Buffer.from(JSON.stringify(message));
    // A text frame, masked by zeros (RFC 6455, section 5.2).
    const frame = Buffer.concat([Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), text]);
    const { _socket: connection } = this.ws as unknown as { _socket: Socket };
    connection.write(Buffer.concat(Array<Buffer>(times).fill(frame)));
  }

  of(type: string): Message[] {
    return this.received.filter((message) => message.type === type);
  }

  get isOpen(): boolean {
    return this.ws.readyState === WebSocket.OPEN;
  }

  close(): void {
    this.ws.terminate();
  }
}

describe('Much at once on one socket', () => {
  let app: App;
  let ada: Client;
  let roomId: string;
  const sockets: RawSocket[] = [];
  const open = async (token?: string): Promise<RawSocket> => {
    const socket = new RawSocket(app.url);
    sockets.push(socket);
    return socket.open(token);
  };

  beforeAll(async () => {
    app = await startParley('embedded');
    ada = await signUp(app.url);
    roomId = await ada.createRoom();
  });
  afterAll(async () => {
    for (const socket of sockets) socket.close();
    await app[Symbol.asyncDispose]();
  });

  const post = (id: string): Message => ({
    id,
    type: 'subscribe',
    payload: {
      query: 'mutation ($input: PostMessageInput!) { postMessage(input: $input) { message { id } } }',
      variables: { input: { roomId, body: id } },
    },
  });

  test('an operation whose complete comes with it, or while it waits, is never executed', async () => {
    const socket = await open(ada.token);
    const ids = Array.from({ length: 20 }, (_, i) => `${i}`);
    socket.send(...ids.flatMap((id) => [post(`dropped ${id}`), { id: `dropped ${id}`, type: 'complete' }]));
    socket.send(
      ...ids.map((id) => post(`dropped too ${id}`)),
      ...ids.map((id) => ({ id: `dropped too ${id}`, type: 'complete' })),
    );
    socket.send(post('kept'));
    await eventually(10_000, 'the last one is answered', () => socket.of('complete').length === 1);
    expect(socket.of('next').map(({ id }) => id)).toEqual(['kept']);
    const { room } = await ada.run(
      `query ($id: ID!) { room(id: $id) { messages(first: 100) { edges { node { body } } } } }`,
      {
        id: roomId,
      },
    );
    expect(room.messages.edges.map(({ node }: any) => node.body)).toEqual(['kept']);
  });

  test('all that is asked is answered, in whatever number it comes', async () => {
    const socket = await open();
    const ids = Array.from({ length: 300 }, (_, i) => `${i}`);
    socket.send(
      ...ids.map((id): Message => ({ id, type: 'subscribe', payload: { query: '{ __typename }' } })),
    );
    await eventually(60_000, 'all are complete', () => socket.of('complete').length === ids.length);
    expect(
      socket
        .of('next')
        .map(({ id }) => id)
        .sort(),
    ).toEqual([...ids].sort());
  });

  test('no more is read than may wait, also where answers were not taken before', async () => {
    let most = 0;
    const { add } = SocketInbox.prototype;
    const spy = vi.spyOn(SocketInbox.prototype, 'add').mockImplementation(function (
      this: SocketInbox,
      message,
    ) {
      add.call(this, message);
      most = Math.max(most, (this as unknown as { waiting?: Map<string, unknown> }).waiting?.size ?? 0);
    });
    const socket = await open();
    const ids = Array.from({ length: 20_000 }, (_, i) => `${i}`);
    // The answers to these are more than a connection takes at once.
    const ping: Message = { type: 'ping', payload: { filling: 'x'.repeat(200_000) } };
    socket.send(
      ...ids.flatMap((id, i): Message[] => [
        ...(i % 400 === 0 ? [ping] : []),
        { id, type: 'subscribe', payload: { query: '{ __typename }' } },
      ]),
    );
    await eventually(25_000, 'all are answered', () => socket.of('complete').length === ids.length);
    // As many as there are in what was read at once, which is 64 KiB.
    expect(most).toBeLessThan(2000);
    spy.mockRestore();
  });

  test.each([
    ['pongs', { type: 'pong' }],
    ['pings', { type: 'ping' }],
    ['completes', { id: 'nothing', type: 'complete' }],
  ])('%s, however many, leave turns to others', async (_what, message: Message) => {
    const socket = await open();
    let [most, inTurn, isCounting] = [0, 0, false];
    const { take } = LiveSocket.prototype as unknown as { take(text: string): void };
    const spy = vi
      .spyOn(LiveSocket.prototype as unknown as { take(text: string): void }, 'take')
      .mockImplementation(function (this: LiveSocket, text) {
        inTurn += 1;
        most = Math.max(most, inTurn);
        if (!isCounting) setImmediate(() => ([inTurn, isCounting] = [0, false]));
        isCounting = true;
        take.call(this, text);
      });
    socket.sendRepeated(message, 50_000);
    socket.send({ id: 'last', type: 'subscribe', payload: { query: '{ __typename }' } });
    await eventually(20_000, 'the answer', () => socket.of('complete').length === 1);
    // As many as there are in what was read at once, which is 64 KiB.
    expect(most).toBeLessThan(4000);
    spy.mockRestore();
  });

  test('an id that is used again while it waits is refused as ever', async () => {
    const socket = await open();
    const same: Message = { id: 'same', type: 'subscribe', payload: { query: '{ __typename }' } };
    socket.send({ ...same, id: 'first' }, same, same);
    await eventually(10_000, 'it is closed', () => !socket.isOpen);
  });

  test('an id that was dropped may be used again', async () => {
    const socket = await open();
    const same: Message = { id: 'same', type: 'subscribe', payload: { query: '{ __typename }' } };
    socket.send(
      { ...same, id: 'first' },
      ...Array.from({ length: 30 }, () => [same, { id: 'same', type: 'complete' }]).flat(),
      same,
    );
    await eventually(10_000, 'both are complete', () => socket.of('complete').length === 2);
    expect(socket.of('next').map(({ id }) => id)).toEqual(['first', 'same']);
  });

  test('others are answered while a socket sends documents that are dear to validate', async () => {
    const socket = await open();
    // As dear as one within the limits can be, and each another.
    const fields = 'rooms(first: 1) { edges { node { id } } } '.repeat(120);
    const flood = Array.from({ length: 40 }, (_, i): Message => ({
      id: `${i}`,
      type: 'subscribe',
      payload: { query: `query Q${i} { ${fields} }` },
    }));
    socket.send(...flood);
    // The pieces between which others have their turn: the flood is not over when they are answered.
    for (let i = 0; i < 3; i++) {
      const answer = await fetch(`${app.url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: '{"query":"{ __typename }"}',
      });
      expect(await answer.json()).toEqual({ data: { __typename: 'Query' } });
    }
    expect(socket.of('complete').length + socket.of('error').length).toBeLessThan(flood.length);
  });

  test('a document whose fields are dearer to compare than that is refused', async () => {
    const answer = await fetch(`${app.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ query: `{ ${'viewer { user { id } } '.repeat(400)} }` }),
    });
    const { errors } = (await answer.json()) as { errors: any[] };
    expect(errors[0].extensions.code).toBe('QUERY_TOO_COMPLEX');
  });
});
