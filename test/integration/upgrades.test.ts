import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { App } from '../../src/app.js';
import { startParley } from '../support/app.js';
import { signUp, type Client } from '../support/client.js';
import { eventually, within } from '../support/deadline.js';
import { live, ROOM_EVENTS, subscribe } from '../support/live.js';

/** As Java's HTTP client says that it would rather speak HTTP/2, and Apache's TLS. */
const UPGRADES = {
  h2c: 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAAAAMAAAAAAAQBAAAAAAUAAEAAAAYABgAA\r\n',
  TLS: 'Upgrade: TLS/1.2\r\nConnection: Upgrade\r\n',
  list: 'Connection: keep-alive, Upgrade\r\nUpgrade: h2c, TLS/1.3, IRC/6.9\r\n',
} as const;

const BODY = '{"query":"{ __typename }"}';
const JSON_BODY = `Content-Type: application/json\r\nContent-Length: ${BODY.length}\r\n`;

describe.each(Object.keys(UPGRADES) as (keyof typeof UPGRADES)[])('A request that asks for %s', (name) => {
  let app: App;
  beforeAll(async () => {
    app = await startParley();
  });
  afterAll(() => app[Symbol.asyncDispose]());

  /** Sends pieces, one turn after the other, and resolves with what came once it matches. */
  const exchange = (pieces: readonly string[], done: RegExp): Promise<string> => {
    const socket = connect(Number(new URL(app.url).port), '127.0.0.1');
    socket.setNoDelay(true);
    let text = '';
    const answered = new Promise<string>((resolve, reject) => {
      socket.on('data', (chunk: Buffer) => {
        text += chunk.toString();
        if (done.test(text)) resolve(text);
      });
      socket.on('close', () => reject(new Error(`closed after ${text}`)));
      socket.on('error', reject);
    });
    void (async () => {
      for (const piece of pieces) {
        await new Promise((resolve) => socket.write(piece, resolve));
        await new Promise((resolve) => setTimeout(resolve, 30));
      }
    })();
    return within(10_000, 'the answer', answered).finally(() => socket.destroy());
  };
  const head = (line: string, more = ''): string =>
    `${line} HTTP/1.1\r\nHost: localhost\r\n${UPGRADES[name]}${more}\r\n`;

  test.each([
    ['/livez', 200],
    ['/readyz', 200],
    ['/', 307],
    ['/graphql?query=%7B__typename%7D', 403],
    ['/files/nothing', 403],
    ['/uploads/nothing', 405],
    ['/elsewhere', 404],
  ])('is answered at %s as if it did not', async (path, status) => {
    expect(await exchange([head(`GET ${path}`)], /\r\n\r\n/)).toContain(`HTTP/1.1 ${status} `);
  });

  test('may bring a body, in one piece, in several, and in chunks', async () => {
    const chunked = 'Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n';
    const chunks = `${BODY.length.toString(16)}\r\n${BODY}\r\n0\r\n\r\n`;
    for (const pieces of [
      [head('POST /graphql', JSON_BODY) + BODY],
      [head('POST /graphql', JSON_BODY), BODY.slice(0, 7), BODY.slice(7)],
      [head('POST /graphql', JSON_BODY).slice(0, 70), head('POST /graphql', JSON_BODY).slice(70) + BODY],
      [head('POST /graphql', chunked), chunks],
      [head('POST /graphql', chunked) + chunks],
    ]) {
      const text = await exchange(pieces, /\{"data".*\}/);
      expect(text).toContain('HTTP/1.1 200 ');
      expect(text).toContain('{"data":{"__typename":"Query"}}');
    }
  });

  test('leaves its connection to those before and behind it', async () => {
    const plain = `POST /graphql HTTP/1.1\r\nHost: localhost\r\n${JSON_BODY}\r\n${BODY}`;
    const asking = head('POST /graphql', JSON_BODY) + BODY;
    const get = head('GET /livez');
    const text = await exchange(
      [plain + asking + get + plain, asking, get + plain],
      /(\{"data"[^]*){4}"status":"ok"[^]*\{"data"/,
    );
    expect(text.match(/HTTP\/1\.1 200 /g)).toHaveLength(7);
    expect(
      text.match(/\{"data":\{"__typename":"Query"\}\}|\{"status":"ok"\}/g)?.map((one) => one.length),
    ).toEqual([31, 31, 15, 31, 31, 15, 31]);
  });
});

describe('A request that asks for a WebSocket', () => {
  let app: App;
  let ada: Client;
  beforeAll(async () => {
    app = await startParley();
    ada = await signUp(app.url);
  });
  afterAll(() => app[Symbol.asyncDispose]());

  test('gets one', async () => {
    const client = live(ada);
    const roomId = await ada.createRoom();
    const feed = subscribe(client, ROOM_EVENTS, { roomId, last: 1 });
    await feed.take(1, 'roomEvents');
    await client.dispose();
  });

  const opened = async (): Promise<Socket> => {
    const socket = connect({ port: Number(new URL(app.url).port), host: '127.0.0.1', allowHalfOpen: true });
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    return socket;
  };
  const asking = (path: string): string =>
    `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
    `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n` +
    'Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n';

  test('is let go of where its connection was reset before it was read', async () => {
    const sockets = await Promise.all(Array.from({ length: 20 }, opened));
    // The server has accepted them all once it has answered.
    expect((await fetch(`${app.url}/livez`)).status).toBe(200);
    for (const [i, socket] of sockets.entries()) {
      socket.write(asking(i % 2 === 0 ? '/graphql' : '/graphql?token=nonsense'));
      socket.resetAndDestroy();
    }
    // They are read in the turns before this one is answered; anything thrown there ends the process.
    expect((await fetch(`${app.url}/livez`)).status).toBe(200);
  });

  test.each(['/elsewhere', '/graphql%20'])('at %s keeps no connection whose client stays', async (path) => {
    const socket = await opened();
    socket.write(asking(path));
    await within(5000, 'the end of the answer', once(socket.resume(), 'end'));
    // A connection that the server has let go of resets who writes to it; one that it keeps takes it.
    await eventually(5000, 'the end of the connection', () => {
      if (!socket.destroyed) socket.write('x');
      return socket.destroyed;
    });
  });
});
