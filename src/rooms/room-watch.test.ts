import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { RoomEventKind, RoomEventRow } from '../db/tables.js';
import { forbidden } from '../errors.js';
import { FeedSubscription, type Feed } from '../events/feed-subscription.js';
import type { LogHead } from '../events/event-log.js';
import { RoomWatch, type WatchOptions } from './room-watch.js';

const event = (seq: number, kind: RoomEventKind = 'MESSAGE_ADDED'): RoomEventRow => ({
  room_id: 'room',
  seq,
  tag: `tag-${seq}`,
  kind,
  at: new Date(0),
  actor_id: null,
  message_id: null,
  file_id: null,
  user_id: null,
  role: null,
});

/** A feed whose log is an array. */
class ArrayFeed implements Feed {
  readonly roomId = 'room';
  readonly now = Date.now;
  readonly armed = Promise.resolve();
  readonly log: RoomEventRow[] = [];
  get head(): LogHead {
    return { seq: this.log.length, tag: this.log.at(-1)?.tag ?? 'tag-0' };
  }
  reach(): Promise<void> {
    return Promise.resolve();
  }
  after(seq: number): Promise<readonly RoomEventRow[]> {
    return Promise.resolve(this.log.slice(seq, seq + 2));
  }
  onTyping(): () => void {
    return () => undefined;
  }
  onAppend(): () => void {
    return () => undefined;
  }
}

describe('Following a room', () => {
  let feed: ArrayFeed;
  let subscription: FeedSubscription;

  beforeEach(() => {
    vi.useFakeTimers();
    feed = new ArrayFeed();
    subscription = new FeedSubscription(feed, 'user', () => undefined);
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  const happen = (...kinds: RoomEventKind[]): void => {
    for (const kind of kinds) feed.log.push(event(feed.log.length + 1, kind));
    subscription.wake();
  };

  function watch(from: number, options: WatchOptions = { checkpoints: true }): RoomWatch {
    subscription.start(from, 0);
    return new RoomWatch(subscription, { seq: from, tag: `tag-${from}` }, feed.head.seq, options);
  }

  const next = async (following: RoomWatch): Promise<string> => {
    const { value, done } = await following.next();
    return done === true ? 'done' : `${value.kind} ${value.seq} ${value.tag}`;
  };

  test('replays, says where the replay ends, and goes on', async () => {
    happen('MEMBER_JOINED', 'MESSAGE_ADDED', 'MESSAGE_EDITED');
    const following = watch(1);
    expect(await next(following)).toBe('MESSAGE_ADDED 2 tag-2');
    // What happens during the replay is no part of it.
    happen('FILE_ADDED');
    expect(await next(following)).toBe('MESSAGE_EDITED 3 tag-3');
    expect(await next(following)).toBe('CHECKPOINT 3 tag-3');
    expect(await next(following)).toBe('FILE_ADDED 4 tag-4');
  });

  test('says where the replay ends also when its feed is behind the log', async () => {
    happen('MEMBER_JOINED');
    subscription.start(1, 0);
    // The check of the right has seen an event that the feed has not heard of.
    const following = new RoomWatch(subscription, { seq: 1, tag: 'tag-1' }, 2, { checkpoints: true });
    expect(following.hasMore).toBe(true);
    const waiting = following.take();
    happen('MESSAGE_ADDED');
    expect(await waiting).toMatchObject([{ kind: 'MESSAGE_ADDED', seq: 2 }]);
    expect(following.hasMore).toBe(true);
    expect(await following.take()).toMatchObject([{ kind: 'CHECKPOINT', seq: 2 }]);
    expect(following.hasMore).toBe(false);
  });

  test('says where the log stands at once when nothing was missed, and after each minute of silence', async () => {
    happen('MEMBER_JOINED');
    const following = watch(1);
    expect(await next(following)).toBe('CHECKPOINT 1 tag-1');
    for (let minute = 0; minute < 3; minute++) {
      const silent = next(following);
      await vi.advanceTimersByTimeAsync(59_000);
      expect(await Promise.race([silent, Promise.resolve('nothing yet')])).toBe('nothing yet');
      await vi.advanceTimersByTimeAsync(1000);
      expect(await silent).toBe('CHECKPOINT 1 tag-1');
    }
    const waiting = next(following);
    await vi.advanceTimersByTimeAsync(30_000);
    happen('MESSAGE_ADDED');
    expect(await waiting).toBe('MESSAGE_ADDED 2 tag-2');
    // Half a minute of silence before the event does not count.
    const silent = next(following);
    await vi.advanceTimersByTimeAsync(45_000);
    expect(await Promise.race([silent, Promise.resolve('nothing yet')])).toBe('nothing yet');
    await vi.advanceTimersByTimeAsync(15_000);
    expect(await silent).toBe('CHECKPOINT 2 tag-2');
  });

  test('of one kind leaves out the others and every place between', async () => {
    happen('MEMBER_JOINED', 'MESSAGE_ADDED', 'FILE_ADDED');
    const following = watch(0, { only: 'FILE_ADDED' });
    expect(await next(following)).toBe('FILE_ADDED 3 tag-3');
    const waiting = next(following);
    await vi.advanceTimersByTimeAsync(200_000);
    happen('MESSAGE_ADDED', 'FILE_ADDED');
    expect(await waiting).toBe('FILE_ADDED 5 tag-5');
  });

  test('ends with FORBIDDEN at once, whatever of it is not yet told', async () => {
    happen('MEMBER_JOINED', 'MESSAGE_ADDED', 'MESSAGE_ADDED');
    const following = watch(0);
    await next(following);
    subscription.end(forbidden('gone'));
    await expect(following.next()).rejects.toMatchObject({ code: 'FORBIDDEN' });
  });

  test('ends a wait at once, with FORBIDDEN or in peace', async () => {
    const removed = watch(0);
    await next(removed);
    const waiting = removed.next();
    subscription.end(forbidden('gone'));
    await expect(waiting).rejects.toMatchObject({ code: 'FORBIDDEN' });

    subscription = new FeedSubscription(feed, 'user', () => undefined);
    const stopped = watch(0);
    await next(stopped);
    const pending = next(stopped);
    await stopped.return();
    expect(await pending).toBe('done');
    expect(await next(stopped)).toBe('done');
  });
});

describe('Leaving a room', () => {
  const begin = (memberSince: number, ...left: number[]): FeedSubscription => {
    const subscription = new FeedSubscription(new ArrayFeed(), 'user', () => undefined);
    for (const seq of left) subscription.left(seq);
    subscription.start(0, memberSince);
    return subscription;
  };

  test('ends what was begun as the member who left', () => {
    const subscription = begin(5);
    subscription.left(6);
    expect(subscription.error).toMatchObject({ code: 'FORBIDDEN' });
  });

  test('ends nothing for one who came back since, however late it is read', () => {
    const subscription = begin(7);
    subscription.left(6);
    expect(subscription.isOver).toBe(false);
    expect(begin(7, 6).isOver).toBe(false);
  });

  test('counts also when it is read before the subscription has begun', () => {
    expect(begin(5, 6).error).toMatchObject({ code: 'FORBIDDEN' });
    expect(begin(5, 6, 3).error).toMatchObject({ code: 'FORBIDDEN' });
  });
});
