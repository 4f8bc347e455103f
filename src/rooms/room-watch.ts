import type { Database } from '../db/database.js';
import type { RoomEventKind, RoomEventRow } from '../db/tables.js';
import { badInput, forbidden, notFound } from '../errors.js';
import { placeBeforeLast, resolveCursor, type LogHead } from '../events/event-log.js';
import type { FeedSubscription } from '../events/feed-subscription.js';
import type { RoomFeeds } from '../events/room-feeds.js';
import { canRead, canSee } from './rooms.policy.js';
import { membershipOf, roomsByIds } from './rooms.queries.js';

/** Silence after which a subscriber gets a fresh cursor. */
const CHECKPOINT_MS = 60_000;

export interface WatchOptions {
  /** An event cursor: everything after it. */
  readonly after?: string | null | undefined;
  /** The newest N events, 1 to 100. */
  readonly last?: number | null | undefined;
  /** Only events of this kind. */
  readonly only?: RoomEventKind;
  /** Tell where the log stands when the replay has ended, and after each minute of silence. */
  readonly checkpoints?: boolean;
}

/** What a subscriber of a room is sent: an event of the log, or the place where the log stands. */
export type RoomEvent = RoomEventRow | CheckpointEvent;

export interface CheckpointEvent {
  readonly kind: 'CHECKPOINT';
  readonly room_id: string;
  readonly seq: number;
  readonly tag: string;
  readonly at: Date;
  readonly actor_id: null;
}

/**
 * Begins to follow a room: arm the feed, check the right, read where to begin, follow. In this order nothing falls between:
 * what is committed after the check is read later than it, and the feed was listening before.
 */
export async function watchRoom(
  { db, feeds }: { readonly db: Database; readonly feeds: RoomFeeds },
  userId: string,
  roomId: string,
  options: WatchOptions,
): Promise<RoomWatch> {
  const { after, last } = options;
  if (after != null && last != null) throw badInput('last', 'Give `after` or `last`, not both.');
  if (last != null && (last < 1 || last > 100)) throw badInput('last', '`last` takes 1 to 100.');

  // Arm.
  const subscription = feeds.subscribe(roomId, userId);
  try {
    await subscription.feed.armed;

    // Check. The room's row is read after the membership, so its head is no older than the right.
    const membership = await membershipOf(db, roomId, userId);
    const [room] = await roomsByIds(db, [roomId]);
    if (room === undefined || !canSee(room, membership?.role)) throw notFound('The room');
    if (membership === undefined || !canRead(membership.role))
      throw forbidden('Only members follow a room: join it first.');
    const head: LogHead = { seq: room.last_seq, tag: room.last_tag };

    // Read.
    let place = head;
    if (after != null) place = await resolveCursor(db, room, head, after);
    else if (last != null) place = { seq: await placeBeforeLast(db, roomId, head, last), tag: head.tag };

    // Follow.
    subscription.start(place.seq, membership.joined_seq);
    return new RoomWatch(subscription, place, head.seq, options);
  } catch (error) {
    subscription.close();
    throw error;
  }
}

/** The events of a room for one subscriber, in commit order. Fails with FORBIDDEN once the user has left the room. */
export class RoomWatch implements AsyncIterableIterator<RoomEvent> {
  private batch: readonly RoomEventRow[] = [];
  private index = 0;
  private toldEnd = false;

  constructor(
    private readonly subscription: FeedSubscription,
    private place: LogHead,
    /** Everything up to here is replay. */
    private readonly replayEnd: number,
    private readonly options: WatchOptions,
  ) {}

  async next(): Promise<IteratorResult<RoomEvent, undefined>> {
    for (;;) {
      const { error, isOver } = this.subscription;
      if (error !== undefined) throw error;
      if (isOver) return { done: true, value: undefined };

      const row = this.batch[this.index];
      if (row !== undefined) {
        this.index += 1;
        this.place = { seq: row.seq, tag: row.tag };
        if (this.options.only === undefined || row.kind === this.options.only)
          return { done: false, value: row };
        continue;
      }
      if (this.options.checkpoints === true && !this.toldEnd && this.place.seq >= this.replayEnd) {
        this.toldEnd = true;
        return { done: false, value: this.checkpoint() };
      }
      const rows = await this.subscription.read(CHECKPOINT_MS);
      this.batch = rows ?? [];
      this.index = 0;
      if (rows === undefined && this.options.checkpoints === true && !this.subscription.isOver) {
        return { done: false, value: this.checkpoint() };
      }
    }
  }

  return(): Promise<IteratorResult<RoomEvent, undefined>> {
    this.subscription.close();
    return Promise.resolve({ done: true, value: undefined });
  }

  throw(error: unknown): Promise<IteratorResult<RoomEvent, undefined>> {
    this.subscription.close();
    return Promise.reject(error instanceof Error ? error : new Error(String(error)));
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  private checkpoint(): CheckpointEvent {
    return {
      kind: 'CHECKPOINT',
      room_id: this.subscription.feed.roomId,
      ...this.place,
      at: new Date(),
      actor_id: null,
    };
  }
}
