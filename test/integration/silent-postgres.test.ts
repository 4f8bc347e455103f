import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { App } from '../../src/app.js';
import { makePlace, startOn, type Place } from '../support/app.js';
import { signUp, type Client } from '../support/client.js';
import { eventually, within } from '../support/deadline.js';
import { live, ROOM_EVENTS, subscribe } from '../support/live.js';
import { isMissing, services } from '../support/services.js';
import { Wire, type Way } from '../support/wire.js';

/** DATABASE_TIMEOUT of the server, and how long anything may take that waits for it, on a busy machine. */
const TIMEOUT = '2s';
const AT_MOST_MS = 15_000;

const bothWays: readonly Way[] = ['asking', 'answering'];

describe.skipIf(isMissing(services.postgres))('While connections to Postgres are silent', () => {
  let place: Place;
  let app: App;
  /** Between the server and Postgres. */
  let wire: Wire;
  let ada: Client;
  let roomId: string;

  beforeAll(async () => {
    place = await makePlace('postgres');
    wire = await Wire.to(place.env['DATABASE_URL'] ?? '');
    app = await startOn(place, {
      DATABASE_URL: wire.through(place.env['DATABASE_URL'] ?? ''),
      DATABASE_TIMEOUT: TIMEOUT,
    });
    ada = await signUp(app.url);
  });
  beforeEach(async () => {
    roomId = await ada.createRoom();
  });
  afterAll(async () => {
    await within(AT_MOST_MS, 'the server stops', Promise.resolve(app[Symbol.asyncDispose]()));
    await wire[Symbol.asyncDispose]();
    await place[Symbol.asyncDispose]();
  });

  const readyz = async (): Promise<number> => (await fetch(`${app.url}/readyz`)).status;
  const ready = (): Promise<unknown> => eventually(AT_MOST_MS, 'ready', async () => (await readyz()) === 200);
  const post = (body: string, key: string) =>
    ada.post(roomId, body, { idempotencyKey: `${roomId.slice(-20)} ${key}` }).then(
      () => 'posted' as const,
      (error: unknown) => (String(error).includes('UNAVAILABLE') ? 'unavailable' : String(error)),
    );
  /** All connections are open, and used. */
  const warmUp = async (): Promise<void> => {
    await Promise.all(
      Array.from({ length: 20 }, (_, i) => post(`before ${String(i)}`, `before ${String(i)}`)),
    );
    await ready();
  };

  test.each([{ ways: bothWays }, ...bothWays.map((way) => ({ ways: [way] }))])(
    'every post is answered, and feeds go on without a gap ($ways)',
    async ({ ways }) => {
      const client = live(ada);
      const feed = subscribe(client, ROOM_EVENTS, { roomId });
      await feed.take(1, 'roomEvents');
      await warmUp();
      wire.silence({ ways });
      const bodies = Array.from({ length: 15 }, (_, i) => `body ${String(i)}`);
      const outcomes = await within(
        AT_MOST_MS,
        'an answer to each post',
        Promise.all(bodies.map((body) => post(body, body))),
      );
      expect(outcomes.filter((outcome) => outcome !== 'posted' && outcome !== 'unavailable')).toEqual([]);
      // Whoever was told that it may not be there sends it again, with its key.
      for (const body of bodies) expect(await within(AT_MOST_MS, 'a retry', post(body, body))).toBe('posted');
      const seen = await eventually(AT_MOST_MS, 'all of them', () => {
        const found = feed.results.flatMap(({ roomEvents }) => roomEvents.message?.body ?? []);
        const mine = found.filter((body: string) => body.startsWith('body'));
        return mine.length >= bodies.length && mine;
      });
      expect([...seen].sort()).toEqual([...bodies].sort());
      await client.dispose();
      wire.resume();
    },
    60_000,
  );

  test('/readyz says so, and says when it is over', async () => {
    await warmUp();
    wire.silence({ all: true });
    await eventually(AT_MOST_MS, 'not ready', async () => (await readyz()) === 503);
    const outcomes = await within(
      AT_MOST_MS * 2,
      'an answer',
      Promise.all([post('one', 'one'), ada.run(`{ viewer { id } }`).then(() => 'read', String)]),
    );
    expect(outcomes).toEqual(['unavailable', expect.stringContaining('UNAVAILABLE')]);
    wire.resume();
    await ready();
    expect(await post('one', 'one')).toBe('posted');
  }, 90_000);

  test('/readyz asks again by a new connection once its own has fallen silent', async () => {
    await warmUp();
    wire.silence();
    await eventually(AT_MOST_MS, 'not ready', async () => (await readyz()) === 503);
    await ready();
    wire.resume();
  }, 60_000);

  test('one who subscribes gets events', async () => {
    await warmUp();
    wire.silence();
    const client = live(ada);
    const seen = await eventually(AT_MOST_MS * 2, 'a subscription', async () => {
      const feed = subscribe(client, ROOM_EVENTS, { roomId });
      return feed.take(1, 'roomEvents').catch(() => undefined);
    });
    expect(seen).toMatchObject([{ __typename: 'Checkpoint' }]);
    await client.dispose();
    wire.resume();
  }, 60_000);
});
