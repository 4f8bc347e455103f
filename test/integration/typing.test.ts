import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { App } from '../../src/app.js';
import { backends, startParley } from '../support/app.js';
import { signUp, type Client } from '../support/client.js';
import { eventually } from '../support/deadline.js';
import { live, subscribe, type Feed } from '../support/live.js';

const TYPING = `subscription ($roomId: ID!) { typing(roomId: $roomId) { user { handle } typing expiresAt } }`;
const EVENTS = `subscription ($roomId: ID!) { roomEvents(roomId: $roomId) { __typename } }`;

describe.each(backends)('Typing on %s', (backend) => {
  let app: App;
  let ada: Client;
  let bob: Client;

  beforeAll(async () => {
    app = await startParley(backend);
    [ada, bob] = [await signUp(app.url), await signUp(app.url)];
  });
  afterAll(() => app[Symbol.asyncDispose]());

  const set = async (who: Client, roomId: string, typing: boolean): Promise<string | null> => {
    const { setTyping } = await who.run(
      `mutation ($input: SetTypingInput!) { setTyping(input: $input) { expiresAt } }`,
      {
        input: { roomId, typing },
      },
    );
    return setTyping.expiresAt as string | null;
  };

  interface Screen {
    readonly roomId: string;
    readonly feed: Feed;
    readonly close: () => unknown;
  }

  /**
   * A room with both in it, whom `who` watches. That the watch has begun is seen by bob's typing; signals of a room keep their
   * order, so once ada's have come, none of bob's is still under way.
   */
  async function watch(who: Client, room?: string): Promise<Screen> {
    const roomId = room ?? (await ada.createRoom());
    if (room === undefined) await bob.join(roomId);
    const client = live(who);
    const feed = subscribe(client, TYPING, { roomId });
    const follows = subscribe(client, EVENTS, { roomId });
    await follows.take(1, 'roomEvents');
    await eventually(5000, 'the watch has begun', async () => {
      await set(bob, roomId, true);
      await set(bob, roomId, false);
      return feed.results.length > 0;
    });
    for (const typing of [true, false]) {
      await set(ada, roomId, typing);
      await eventually(5000, 'the last of it', () => {
        const last = feed.results.at(-1).typing;
        return last.user.handle === ada.handle && last.typing === typing;
      });
    }
    feed.results.length = 0;
    return { roomId, feed, close: () => client.dispose() };
  }

  test('is told to everyone in the room, oneself included, with the time until which it is good', async () => {
    const { roomId, feed, close } = await watch(ada);
    const before = Date.now();
    const expiresAt = await set(ada, roomId, true);
    expect(Date.parse(expiresAt!) - before).toBeGreaterThanOrEqual(6000);
    expect(Date.parse(expiresAt!) - before).toBeLessThan(8000);
    expect(await feed.take(1, 'typing')).toEqual([{ user: { handle: ada.handle }, typing: true, expiresAt }]);
    await set(bob, roomId, true);
    expect((await feed.take(2, 'typing'))[1]).toMatchObject({ user: { handle: bob.handle }, typing: true });
    expect(await set(ada, roomId, false)).toBeNull();
    expect((await feed.take(3, 'typing'))[2]).toEqual({
      user: { handle: ada.handle },
      typing: false,
      expiresAt: null,
    });
    await close();
  });

  test('ends by itself six seconds after it was last heard of', async () => {
    const { roomId, feed, close } = await watch(ada);
    await set(bob, roomId, true);
    await feed.take(1, 'typing');
    const began = Date.now();
    const [, silent] = await feed.take(2, 'typing', 9000);
    expect(silent).toEqual({ user: { handle: bob.handle }, typing: false, expiresAt: null });
    expect(Date.now() - began).toBeGreaterThan(5500);
    await close();
  });

  test('is told seldom, however often it is said', async () => {
    const { roomId, feed, close } = await watch(ada);
    const first = await set(ada, roomId, true);
    for (let i = 0; i < 20; i++) expect(await set(ada, roomId, true)).toBe(first);
    await set(bob, roomId, true);
    const handles = (await feed.take(2, 'typing')).map(({ user }) => user.handle);
    expect(handles).toEqual([ada.handle, bob.handle]);
    // Two seconds later it is told again, and is good for longer.
    const renewed = await eventually(5000, 'it is told again', async () => {
      const expiresAt = await set(ada, roomId, true);
      return expiresAt !== first && expiresAt !== null ? expiresAt : undefined;
    });
    expect(Date.parse(renewed) - Date.parse(first!)).toBeGreaterThanOrEqual(2000);
    expect((await feed.take(3, 'typing'))[2]).toEqual({
      user: { handle: ada.handle },
      typing: true,
      expiresAt: renewed,
    });
    await close();
  });

  test('alternated a thousand times makes few events, the last of which is what was said last', async () => {
    const { roomId, feed, close } = await watch(bob);
    const many = (last: boolean): string =>
      Array.from({ length: 60 }, (_, i) => {
        const typing = i % 2 === 1 ? last : !last;
        return `t${String(i)}: setTyping(input: { roomId: $roomId, typing: ${String(typing)} }) { expiresAt }`;
      }).join('\n');
    const say = (last: boolean): Promise<unknown> =>
      ada.run(`mutation ($roomId: ID!) { ${many(last)} }`, { roomId });
    const began = Date.now();
    await Promise.all(Array.from({ length: 20 }, () => say(false)));
    await say(true);
    const last = await eventually(5000, 'the last of it', () => {
      const typing = feed.results.at(-1)?.typing;
      return typing?.typing === true ? typing : undefined;
    });
    // By the database's clock, which is known to some milliseconds.
    expect(Date.parse(last.expiresAt)).toBeLessThanOrEqual(Date.now() + 6000 + 100);
    expect(feed.results.length).toBeLessThanOrEqual(6 + (Date.now() - began) / 1000);
    await say(false);
    await eventually(5000, 'the last of it', () => feed.results.at(-1)?.typing.typing === false);
    await close();
  });

  test('that never began does not end', async () => {
    const { roomId, feed, close } = await watch(ada);
    await set(bob, roomId, false);
    await set(ada, roomId, true);
    expect(await feed.take(1, 'typing')).toMatchObject([{ user: { handle: ada.handle }, typing: true }]);
    await close();
  });

  test('is neither kept nor told to those who come later, nor in another room', async () => {
    const { roomId, feed, close } = await watch(ada);
    await set(bob, roomId, true);
    await feed.take(1, 'typing');
    const head = async (): Promise<string> =>
      (await ada.run(`query ($id: ID!) { room(id: $id) { eventCursor } }`, { id: roomId }))['room']
        .eventCursor;
    const before = await head();
    await set(ada, roomId, true);
    expect(await head()).toBe(before);

    const other = await watch(ada);
    await set(bob, roomId, false);
    await feed.take(3, 'typing');
    expect(other.feed.results).toEqual([]);

    const client = live(ada);
    const late = subscribe(client, TYPING, { roomId });
    const follows = subscribe(client, EVENTS, { roomId });
    await follows.take(1, 'roomEvents');
    expect(late.results.filter(({ typing }) => typing.user.handle === bob.handle)).toEqual([]);
    await client.dispose();
    await Promise.all([close(), other.close()]);
  });
});
