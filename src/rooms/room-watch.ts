import type { Database } from '../db/database.js';
import type { RoomEventKind, RoomEventRow } from '../db/tables.js';
import { badInput, forbidden, notFound, type ParleyError } from '../errors.js';
import { placeBeforeLast, resolveCursor, type LogHead } from '../events/event-log.js';
import type { Feed, FeedSubscription } from '../events/feed-subscription.js';
import type { RoomFeeds } from '../events/room-feeds.js';
import { canRead, canSee } from './rooms.policy.js';
import { membershipOf, roomsByIds } from './rooms.queries.js';

/** Silence after which a subscriber gets a fresh cursor. */
export const CHECKPOINT_MS = 60_000;

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
  if (after != null && last != null) throw badInput('last', 'Give either `after` or `last`, not both.');
  if (last != null && (last < 1 || last > 100)) throw badInput('last', '`last` must be from 1 to 100.');

  // Arm.
  const subscription = feeds.subscribe(roomId, userId);
  try {
    await subscription.feed.armed;

    // Check. The room's row is read after the membership, so its head is no older than the right.
    const membership = await membershipOf(db, roomId, userId);
    const [room] = await roomsByIds(db, [roomId]);
    if (room === undefined || !canSee(room, membership?.role)) throw notFound('The room');
    if (membership === undefined || !canRead(membership.role))
      throw forbidden('Only members can follow a room: join it first.');
    const head: LogHead = { seq: room.last_seq, tag: room.last_tag };

    // Read.
    let place = head;
    if (after != null) place = await resolveCursor(db, room, head, after);
    else if (last != null) place = { seq: await placeBeforeLast(db, roomId, head, last), tag: head.tag };

    // What the room's others were sent is kept for a while; it is of use only if nothing has changed that they do not know of yet.
    if (place.seq < head.seq) await subscription.feed.reach(head.seq);

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
  private taken: readonly RoomEvent[] = [];
  private index = 0;
  private toldEnd = false;

  constructor(
    private readonly subscription: FeedSubscription,
    /** How far it was read. */
    private place: LogHead,
    /** Everything up to here is replay. */
    private readonly replayEnd: number,
    private readonly options: WatchOptions,
  ) {}

  get feed(): Feed {
    return this.subscription.feed;
  }
  /** Who follows. */
  get userId(): string {
    return this.subscription.userId;
  }
  /** Only events of this kind are told. */
  get only(): RoomEventKind | undefined {
    return this.options.only;
  }
  get tellsCheckpoints(): boolean {
    return this.options.checkpoints === true;
  }
  /** Up to where everything was taken, or reached the subscriber by another way. */
  get seq(): number {
    return this.place.seq;
  }
  /** Whether every event that has happened was taken. */
  get isCaughtUp(): boolean {
    return this.subscription.caughtUp;
  }
  /** Whether something is to be taken still, or told, before all that was missed is. */
  get hasMore(): boolean {
    return !this.subscription.caughtUp || (this.tellsCheckpoints && !this.toldEnd);
  }

  private get endsReplay(): boolean {
    return this.tellsCheckpoints && !this.toldEnd && this.place.seq >= this.replayEnd;
  }

  /**
   * What comes next, as soon as there is something: events, the checkpoint that ends the replay, or the one after a minute of
   * silence. Undefined once it is closed. Throws FORBIDDEN, CURSOR_EXPIRED, NOT_FOUND. One call at a time.
   */
  async take(): Promise<readonly RoomEvent[] | undefined> {
    for (;;) {
      const { error, isOver } = this.subscription;
      if (error !== undefined) throw error;
      if (isOver) return undefined;
      if (this.endsReplay) {
        this.toldEnd = true;
        return [checkpointAt(this.feed, this.place)];
      }
      const rows = await this.subscription.read(CHECKPOINT_MS);
      if (this.subscription.isOver) continue;
      if (rows === undefined) {
        if (this.tellsCheckpoints) return [checkpointAt(this.feed, this.place)];
        continue;
      }
      const last = rows.at(-1);
      if (last !== undefined) this.place = { seq: last.seq, tag: last.tag };
      const told = toldOf(rows, this.only);
      if (told.length > 0) return told;
    }
  }

  /** All up to `place` reached the subscriber by another way. */
  moveTo(place: LogHead): void {
    this.place = place;
    this.subscription.moveTo(place.seq);
  }

  /** Calls `listener` once when it is over; with the error, unless it was closed from this side. */
  onEnd(listener: (error: ParleyError | undefined) => void): void {
    if (this.subscription.isOver) listener(this.subscription.error);
    else this.subscription.onEnd = listener;
  }

  close(): void {
    this.subscription.close();
  }

  async next(): Promise<IteratorResult<RoomEvent, undefined>> {
    for (;;) {
      const event = this.taken[this.index];
      if (event !== undefined && !this.subscription.isOver) {
        this.index += 1;
        return { done: false, value: event };
      }
      const taken = await this.take();
      if (taken === undefined) return { done: true, value: undefined };
      this.taken = taken;
      this.index = 0;
    }
  }

  return(): Promise<IteratorResult<RoomEvent, undefined>> {
    this.close();
    return Promise.resolve({ done: true, value: undefined });
  }

  throw(error: unknown): Promise<IteratorResult<RoomEvent, undefined>> {
    this.close();
    return Promise.reject(error instanceof Error ? error : new Error(String(error)));
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

/** What of some rows is told to one who follows `only` a kind. */
export const toldOf = (
  rows: readonly RoomEventRow[],
  only: RoomEventKind | undefined,
): readonly RoomEventRow[] => (only === undefined ? rows : rows.filter(({ kind }) => kind === only));

export const checkpointAt = (feed: Feed, { seq, tag }: LogHead): CheckpointEvent => ({
  kind: 'CHECKPOINT',
  room_id: feed.roomId,
  seq,
  tag,
  at: new Date(feed.now()),
  actor_id: null,
});
