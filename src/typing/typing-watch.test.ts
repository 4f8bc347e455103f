import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { forbidden } from '../errors.js';
import type { TypingSignal } from '../events/bus.js';
import { FeedSubscription, type Feed } from '../events/feed-subscription.js';
import { SILENCE_MS } from './room-typing.js';
import { TypingWatch } from './typing-watch.js';

describe('Watching who types', () => {
  let listeners: Set<(signal: TypingSignal) => void>;
  let subscription: FeedSubscription;
  let watch: TypingWatch;

  beforeEach(() => {
    vi.useFakeTimers();
    listeners = new Set();
    const feed: Feed = {
      roomId: 'room',
      now: Date.now,
      head: { seq: 0, tag: 't' },
      armed: Promise.resolve(),
      reach: () => Promise.resolve(),
      after: () => Promise.resolve([]),
      onTyping: (listener) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
      onAppend: () => () => undefined,
    };
    subscription = new FeedSubscription(feed, 'me', () => undefined);
    subscription.start(0, 0);
    watch = new TypingWatch(subscription);
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  const type = (userId: string, typing = true): void => {
    for (const listener of listeners)
      listener({ type: 'typing', userId, typing, expiresAt: Date.now() + SILENCE_MS });
  };
  const next = async (): Promise<string> => {
    const { value, done } = await watch.next();
    return done === true ? 'done' : `${value.userId} ${value.typing ? 'types' : 'stopped'}`;
  };
  const soon = (promise: Promise<string>): Promise<string> =>
    Promise.race([promise, Promise.resolve('nothing yet')]);

  test('tells of a typist, and of their silence after six seconds', async () => {
    type('ada');
    expect(await next()).toBe('ada types');
    const silence = next();
    await vi.advanceTimersByTimeAsync(SILENCE_MS - 1);
    expect(await soon(silence)).toBe('nothing yet');
    await vi.advanceTimersByTimeAsync(1);
    expect(await silence).toBe('ada stopped');
  });

  test('waits anew each time that a typist is heard of', async () => {
    type('ada');
    await vi.advanceTimersByTimeAsync(SILENCE_MS - 1);
    type('ada');
    expect(await next()).toBe('ada types');
    const silence = next();
    await vi.advanceTimersByTimeAsync(SILENCE_MS - 1);
    expect(await soon(silence)).toBe('nothing yet');
    await vi.advanceTimersByTimeAsync(1);
    expect(await silence).toBe('ada stopped');
  });

  test('tells once of one who stops, and not at all of one who never began', async () => {
    type('eve', false);
    type('ada');
    type('ada', false);
    type('ada', false);
    expect(await next()).toBe('ada stopped');
    const waiting = next();
    await vi.advanceTimersByTimeAsync(10 * SILENCE_MS);
    expect(await soon(waiting)).toBe('nothing yet');
  });

  test('tells a slow reader the present of each typist, not the past', async () => {
    for (let i = 0; i < 1000; i++) {
      type('ada', i % 2 === 0);
      type('bob', i % 2 === 1);
    }
    expect([await next(), await next()].sort()).toEqual(['ada stopped', 'bob types']);
  });

  test('tells a change as one thing to all who watch, and its end to those who saw it begin', async () => {
    type('ada');
    const later = new TypingWatch(new FeedSubscription(subscription.feed, 'me', () => undefined));
    type('bob');
    const changes = [await watch.next(), await watch.next()].map(({ value }) => value);
    expect((await later.next()).value).toBe(changes[1]);
    type('ada', false);
    type('bob', false);
    expect([await next(), await next()]).toEqual(['ada stopped', 'bob stopped']);
    expect((await later.next()).value).toMatchObject({ userId: 'bob', typing: false });
    await later.return();
    expect(listeners.size).toBe(1);
  });

  test('ends with what ended the subscription, and leaves nothing behind', async () => {
    type('ada');
    const waiting = [await next(), watch.next()] as const;
    subscription.end(forbidden('gone'));
    await expect(waiting[1]).rejects.toMatchObject({ code: 'FORBIDDEN' });
    expect(listeners.size).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('ends in peace for the client that stops it, also while it waits', async () => {
    type('ada');
    await next();
    const waiting = next();
    await watch.return();
    expect(await waiting).toBe('done');
    expect(listeners.size).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('that was over before it began leaves nothing behind', () => {
    const over = new FeedSubscription(subscription.feed, 'me', () => undefined);
    over.left(5);
    over.start(0, 3);
    const before = listeners.size;
    new TypingWatch(over);
    expect(listeners.size).toBe(before);
  });
});
