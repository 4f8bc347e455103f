import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import WebSocket from 'ws';
import type { App } from '../../src/app.js';
import { backends, startParley } from '../support/app.js';
import { signUp, type Client } from '../support/client.js';
import { eventually } from '../support/deadline.js';
import { live, subscribe } from '../support/live.js';

/** More than a feed's ring holds. */
const MESSAGES = 600;
/**
 * Each event shows it 21 times, 30 KiB in UTF-8: together far more than the system's socket buffers hold, while they are
 * posted in less time than a socket may stand still.
 */
const BODY = '€'.repeat(490);
const COPIES = Array.from({ length: 20 }, (_, i) => `copy${i}: body`).join(' ');
const BODIES = `subscription ($roomId: ID!) { messageAdded(roomId: $roomId) { cursor message { body ${COPIES} } } }`;

describe.each(backends)('a subscriber that stops reading, on %s', (backend) => {
  let app: App;
  let owner: Client;

  beforeAll(async () => {
    app = await startParley(backend);
    owner = await signUp(app.url);
  });
  afterAll(() => app[Symbol.asyncDispose]());

  interface Slow {
    readonly ws: WebSocket;
    readonly bodies: string[];
    readonly closes: number[];
  }

  async function subscribeByHand(roomId: string): Promise<Slow> {
    const ws = new WebSocket(`${app.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
    const bodies: string[] = [];
    const closes: number[] = [];
    ws.on('close', (code) => closes.push(code));
    await once(ws, 'open');
    ws.on('message', (data: Buffer) => {
      const message = JSON.parse(data.toString());
      if (message.type === 'connection_ack') {
        ws.send(
          JSON.stringify({ type: 'subscribe', id: 'a', payload: { query: BODIES, variables: { roomId } } }),
        );
      }
      if (message.type === 'next') bodies.push(message.payload.data.messageAdded.message.body);
    });
    ws.send(JSON.stringify({ type: 'connection_init', payload: owner.headers() }));
    await once(ws, 'message');
    return { ws, bodies, closes };
  }

  test('holds up nobody, and misses nothing once it reads on', { timeout: 120_000 }, async () => {
    const roomId = await owner.createRoom();
    const quick = live(owner);
    const feed = subscribe(quick, BODIES, { roomId });
    const slow = await subscribeByHand(roomId);
    // Both are following once they got this.
    await eventually(10_000, 'both to follow', async () => {
      await owner.post(roomId, 'probe');
      return feed.results.length > 0 && slow.bodies.length > 0;
    });
    const before = slow.bodies.length;

    slow.ws.pause();
    let next = 0;
    const writer = async (): Promise<void> => {
      while (next < MESSAGES) await owner.post(roomId, `${(next += 1)} ${BODY}`);
    };
    await Promise.all(Array.from({ length: 8 }, writer));

    // Each began to follow at another probe, so probes do not count.
    const quickBodies = () =>
      feed.results
        .map(({ messageAdded }) => messageAdded.message.body as string)
        .filter((body) => body !== 'probe');
    const slowBodies = () => slow.bodies.filter((body) => body !== 'probe');
    await eventually(30_000, 'the one who reads to have all', () => quickBodies().length === MESSAGES);
    // The socket's own buffer held these, and the pause keeps what comes after.
    expect(slow.bodies.length).toBeLessThan(before + 5);

    slow.ws.resume();
    await eventually(
      60_000,
      'the slow one to have caught up',
      () => slowBodies().length >= MESSAGES || slow.closes.length > 0,
    );
    expect(slow.closes).toEqual([]);
    expect(slowBodies()).toEqual(quickBodies());
    slow.ws.terminate();
    await quick.dispose();
  });
});
