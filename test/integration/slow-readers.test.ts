import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { App } from '../../src/app.js';
import { downloadTimes } from '../../src/files/downloads.js';
import { limits } from '../../src/graphql/limits.js';
import { patience } from '../../src/network/reader-watch.js';
import { counts } from '../../src/observability/counts.js';
import { startParley } from '../support/app.js';
import { signUp, type Client } from '../support/client.js';
import { eventually } from '../support/deadline.js';
import { frameOf, handshakeTo, isKept, SlowReader, SlowSocket } from '../support/slow-reader.js';

/** A tenth of what is waited for otherwise, so readers are ten times as fast as those that they stand for. */
Object.assign(patience, { lookMs: 300, slowest: 80 * 1024, pingMs: 1200 });
Object.assign(limits, { stalledMs: 3000 });
downloadTimes.idleMs = 3000;
/** Longer than a reader may take nothing, looks and pings included. */
const LONG_MS = 6500;

const POSTS = 40;
const LETTERS = 9000;
const copies = (count: number): string => Array.from({ length: count }, (_, i) => `copy${i}: body`).join(' ');

let app: App;
let user: Client;
let roomId: string;
const readers: SlowReader[] = [];
const sockets: SlowSocket[] = [];

beforeAll(async () => {
  app = await startParley();
  user = await signUp(app.url);
  roomId = await user.createRoom();
  for (let i = 0; i < POSTS; i++) await user.post(roomId, `${i % 10}`.repeat(LETTERS));
});
afterEach(() => {
  for (const reader of readers.splice(0)) reader.destroy();
  for (const { ws } of sockets.splice(0)) ws.terminate();
});
afterAll(() => app[Symbol.asyncDispose]());

function read(request: string, bytesPerSecond: number): SlowReader {
  const reader = new SlowReader(app.url, request, bytesPerSecond);
  readers.push(reader);
  return reader;
}
const passed = async (ms: number): Promise<void> => {
  const begun = performance.now();
  await eventually(ms + 5000, 'the time to pass', () => performance.now() - begun > ms);
};

describe('A socket', () => {
  /** A real client, which answers pings as it comes to them. Reads at most `bytesPerSecond` once it has asked. */
  async function asking(megabytes: number, bytesPerSecond: number): Promise<SlowSocket> {
    const socket = await SlowSocket.open(app.url, user.headers());
    sockets.push(socket);
    socket.readAt(bytesPerSecond);
    const count = Math.round((megabytes * 1e6) / POSTS / LETTERS);
    const query = `query ($id: ID!) { room(id: $id) { messages(first: 100) { edges { node { ${copies(count)} } } } } }`;
    socket.ws.send(
      JSON.stringify({ type: 'subscribe', id: '1', payload: { query, variables: { id: roomId } } }),
    );
    return socket;
  }

  test.each([
    ['of which the system has taken everything', 2.5],
    ['with much in Node’s own queue', 11],
  ])('%s is not cut while it is read steadily, and has all of it in the end', async (_how, megabytes) => {
    const socket = await asking(megabytes, 160_000);
    await passed(LONG_MS);
    expect(socket.isOpen).toBe(true);
    socket.readAt(Infinity);
    await eventually(10_000, 'all of it', () => socket.received > (megabytes - 0.1) * 1e6);
  });

  test.each([
    ['little', 2.5],
    ['much', 11],
  ])('of whose data, %s, nothing is read is reset, and leaves nothing', async (_how, megabytes) => {
    const before = counts.cut.ws_slow + counts.cut.ws_silent;
    const socket = await asking(megabytes, 0);
    await eventually(15_000, 'the cut', () => counts.cut.ws_slow + counts.cut.ws_silent > before);
    await eventually(5000, 'its buffers to be free', () => !isKept(app.url, socket.port));
    socket.readAt(Infinity);
    await eventually(5000, 'its end', () => !socket.isOpen);
    expect(socket.received).toBeLessThan(1e6);
  });

  test('that answers no ping is found out at the next one, when it has nothing to read', async () => {
    const before = counts.cut.ws_silent;
    const reader = read(handshakeTo(app.url), Infinity);
    await eventually(5000, 'the handshake', () => reader.text.includes('\r\n\r\n'));
    reader.write(frameOf({ type: 'connection_init' }));
    const begun = performance.now();
    await eventually(10_000, 'the cut', () => counts.cut.ws_silent > before);
    expect(performance.now() - begun).toBeLessThan(4 * patience.pingMs);
    await eventually(5000, 'its end', () => reader.ended);
  });
});

describe('An event stream', () => {
  function following(bytesPerSecond: number): SlowReader {
    const query = `subscription ($roomId: ID!) { roomEvents(roomId: $roomId, last: 40) { ... on MessageAdded { message { ${copies(30)} } } } }`;
    const body = JSON.stringify({ query, variables: { roomId } });
    return read(
      [
        'POST /graphql HTTP/1.1',
        `Host: ${new URL(app.url).host}`,
        'Content-Type: application/json',
        'Accept: text/event-stream',
        `Authorization: Bearer ${user.token}`,
        `Content-Length: ${Buffer.byteLength(body)}`,
        '',
        body,
      ].join('\r\n'),
      bytesPerSecond,
    );
  }

  test('is not cut while it is read steadily', async () => {
    const reader = following(150_000);
    await passed(LONG_MS);
    expect(reader.ended).toBe(false);
    reader.readAt(Infinity);
    await eventually(10_000, 'all of it', () => reader.received > POSTS * LETTERS * 30);
  });

  test('of which nothing is read is reset', async () => {
    const before = counts.cut.sse_slow;
    const reader = following(0);
    await eventually(15_000, 'the cut', () => counts.cut.sse_slow > before);
    await eventually(15_000, 'its buffers to be free', () => !isKept(app.url, reader.port));
  });
});

describe('A download', () => {
  const SIZE = 11_000_000;
  let path: string;

  beforeAll(async () => {
    const { data } = await user.upload(roomId, 'large.txt', 'x'.repeat(SIZE));
    path = new URL(data['uploadFile'].file.url).pathname + new URL(data['uploadFile'].file.url).search;
  });

  const downloading = (bytesPerSecond: number): SlowReader =>
    read(`GET ${path} HTTP/1.1\r\nHost: ${new URL(app.url).host}\r\n\r\n`, bytesPerSecond);

  test('is not cut while it is read steadily', async () => {
    const reader = downloading(150_000);
    await passed(LONG_MS);
    expect(reader.ended).toBe(false);
    reader.readAt(Infinity);
    await eventually(10_000, 'all of it', () => reader.received > SIZE);
  });

  test('of which nothing is read is reset', async () => {
    const reader = downloading(0);
    await eventually(5000, 'the answer to begin', () => reader.text.includes('200 OK'));
    expect(isKept(app.url, reader.port)).toBe(true);
    await eventually(15_000, 'its buffers to be free', () => !isKept(app.url, reader.port));
    reader.readAt(Infinity);
    await eventually(5000, 'its end', () => reader.ended);
    expect(reader.received).toBeLessThan(1e6);
  });
});
