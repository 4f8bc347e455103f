import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { Batch } from '../live/sink.js';
import { Lane } from './lane.js';

/** What a client was sent: the text of each frame in order, control frames by their opcode. */
class Receiver {
  readonly frames: string[] = [];
  private bytes = Buffer.alloc(0);

  constructor(readonly socket: Socket) {
    let opened = false;
    socket.on('data', (data: Buffer) => {
      this.bytes = Buffer.concat([this.bytes, data]);
      if (!opened) {
        const end = this.bytes.indexOf('\r\n\r\n');
        if (end < 0) return;
        opened = true;
        this.bytes = this.bytes.subarray(end + 4);
      }
      while (this.takeFrame());
    });
  }

  private takeFrame(): boolean {
    const { bytes } = this;
    const [first, second] = bytes;
    if (first === undefined || second === undefined) return false;
    const extra = second === 126 ? 2 : second === 127 ? 8 : 0;
    if (bytes.length < 2 + extra) return false;
    const length =
      extra === 0 ? second : extra === 2 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
    const end = 2 + extra + length;
    if (bytes.length < end) return false;
    this.frames.push(first === 0x81 ? bytes.toString('utf8', 2 + extra, end) : `opcode ${first & 0x0f}`);
    this.bytes = bytes.subarray(end);
    return true;
  }
}

const HANDSHAKE = [
  'GET / HTTP/1.1',
  'Host: localhost',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  '\r\n',
].join('\r\n');

const next = (id: string, body: string): string =>
  `{"id":"${id}","type":"next","payload":{"data":"${body}"}}`;
const batch = (...bodies: string[]): Batch =>
  new Batch(bodies.map((body) => ({ text: `{"data":"${body}"}`, cursor: undefined })));

describe('The lane of a socket', () => {
  let server: WebSocketServer;
  const clients: Socket[] = [];

  const start = async (perMessageDeflate: boolean): Promise<void> => {
    server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate });
    await once(server, 'listening');
  };
  beforeEach(() => start(false));
  afterEach(async () => {
    for (const client of clients.splice(0)) client.destroy();
    for (const ws of server.clients) ws.terminate();
    await new Promise((resolve) => server.close(resolve));
  });

  async function open(): Promise<{ lane: Lane; ws: WebSocket; connection: Socket; receiver: Receiver }> {
    const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
    clients.push(client);
    const receiver = new Receiver(client);
    client.write(HANDSHAKE);
    const [ws, request] = (await once(server, 'connection')) as [WebSocket, { socket: Socket }];
    return { ws, lane: new Lane(ws, request.socket), connection: request.socket, receiver };
  }

  test('sends the same answers to each operation under its own id, whatever its letters', async () => {
    const all = [await open(), await open(), await open(), await open()];
    const ids = ['a', 'b', 'é', '7b0d8f3c-1111-4222-8333-123456789abc'];
    const sent = batch('one', '€'.repeat(50), 'x'.repeat(70_000));
    all.forEach(({ lane }, i) => lane.sendBatch(sent, ids[i]!));
    for (const [i, { receiver }] of all.entries()) {
      await vi.waitFor(() => expect(receiver.frames).toHaveLength(3));
      expect(receiver.frames).toEqual(
        ['one', '€'.repeat(50), 'x'.repeat(70_000)].map((body) => next(ids[i]!, body)),
      );
      expect(() => receiver.frames.map((frame) => JSON.parse(frame) as unknown)).not.toThrow();
    }
  });

  test('keeps frames whole and in order where a queue that is not taken, batches, messages and pings meet', async () => {
    const [slow, quick] = [await open(), await open()];
    slow.receiver.socket.pause();
    const expected: Record<'slow' | 'quick', string[]> = { slow: [], quick: [] };
    let stood = false;
    for (let i = 0; i < 400; i++) {
      const bodies = [`${i} ${'y'.repeat(30_000)}`, `${i} z`];
      const sent = batch(...bodies);
      for (const [who, { lane }, id] of [
        ['slow', slow, 's'],
        ['quick', quick, 'q'],
      ] as const) {
        lane.sendBatch(sent, id);
        expected[who].push(...bodies.map((body) => next(id, body)));
        if (i % 3 === 0) {
          lane.send(`{"message":${i}}`, () => undefined);
          expected[who].push(`{"message":${i}}`);
        }
      }
      if (i % 5 === 0) {
        slow.ws.ping();
        expected.slow.push('opcode 9');
      }
      stood ||= !slow.lane.isReady;
      if (i % 7 === 0) await new Promise((resolve) => setImmediate(resolve));
      // As a subscription would.
      if (!quick.lane.isReady) await quick.lane.ready();
    }
    expect(stood).toBe(true);
    await vi.waitFor(() => expect(quick.receiver.frames).toHaveLength(expected.quick.length), 10_000);
    expect(quick.receiver.frames).toEqual(expected.quick);

    slow.receiver.socket.resume();
    await slow.lane.ready();
    await vi.waitFor(() => expect(slow.receiver.frames).toHaveLength(expected.slow.length), 10_000);
    expect(slow.receiver.frames).toEqual(expected.slow);
    expect(slow.lane.isReady).toBe(true);
  });

  test('lets what gathers in a turn of the event loop leave in two writes: at once, and together', async () => {
    const { lane, connection, receiver } = await open();
    const writes = vi.spyOn(connection as Socket & { _writev: () => void }, '_writev');
    const single = vi.spyOn(connection as Socket & { _write: () => void }, '_write');
    for (let i = 0; i < 20; i++) lane.sendBatch(batch(`${i}`), 'a');
    await vi.waitFor(() => expect(receiver.frames).toHaveLength(20));
    expect([single.mock.calls.length, writes.mock.calls.length]).toEqual([1, 1]);
  });

  test('is ready once its connection is gone, so that nobody waits for it', async () => {
    const { lane, ws, receiver } = await open();
    receiver.socket.pause();
    while (lane.isReady) {
      lane.sendBatch(batch('y'.repeat(100_000)), 'a');
      await new Promise((resolve) => setImmediate(resolve));
    }
    const ready = lane.ready();
    ws.terminate();
    await ready;
    expect(lane.isReady).toBe(true);
    await lane.ready();
    lane.sendBatch(batch('to nobody'), 'a');
  });

  test('that compresses lets others have their turn while it is full of whatever was sent', async () => {
    await new Promise((resolve) => server.close(resolve));
    await start(true);
    const client = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
    const [ws, request] = (await once(server, 'connection')) as [WebSocket, { socket: Socket }];
    await once(client, 'open');
    expect(ws.extensions).toContain('permessage-deflate');
    const received: number[] = [];
    client.on('message', (data: Buffer) => received.push(data.length));
    client.pause();
    const lane = new Lane(ws, request.socket);
    lane.sendBatch(batch('first'), 'a');
    // Answers to queries, more than the system's buffers hold.
    const text = randomBytes(300_000).toString('base64');
    for (let i = 0; i < 60; i++) lane.send(text, () => undefined);
    let wasReady = false;
    const waiting = (async () => {
      while (!lane.isReady) await lane.ready();
      wasReady = true;
    })();
    // It would never come, if the one who waits let nobody else have a turn.
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(wasReady).toBe(false);
    client.resume();
    await waiting;
    await vi.waitFor(() => expect(received).toHaveLength(61), 10_000);
    client.terminate();
  });
});
