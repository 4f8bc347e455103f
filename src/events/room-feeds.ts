import type { RoomEventRow } from '../db/tables.js';
import { readHeads } from './event-log.js';
import type { FeedSubscription, KnownSubjects } from './feed-subscription.js';
import { RoomFeed, type RoomFeedDeps } from './room-feed.js';

/** Milliseconds between looks at the log's heads: what a lost wake-up costs at most. */
const TICK_MS = 2000;
/** Rooms asked for in one query. */
const CHUNK = 1000;

/** The feeds of this process: one for each room that has subscribers here. */
export class RoomFeeds {
  private readonly feeds = new Map<string, RoomFeed>();
  private readonly timer: NodeJS.Timeout;
  private ticking = false;

  constructor(private readonly deps: RoomFeedDeps) {
    deps.bus.onReconnect(() => void this.tick());
    this.timer = setInterval(() => void this.tick(), TICK_MS);
    this.timer.unref();
  }

  /** Rooms with subscribers here. */
  get size(): number {
    return this.feeds.size;
  }

  /** Subscribes to a room; the caller checks the right, then calls `start`, and at last `close`. */
  subscribe(roomId: string, userId: string): FeedSubscription {
    let feed = this.feeds.get(roomId);
    if (feed === undefined) {
      const opened = new RoomFeed(roomId, this.deps, () => {
        opened.close();
        if (this.feeds.get(roomId) === opened) this.feeds.delete(roomId);
      });
      feed = opened;
      this.feeds.set(roomId, feed);
    }
    return feed.subscribe(userId);
  }

  /** Hands events that this process has just committed to the room's feed, if it has one (RoomFeed.offer). */
  offer(roomId: string, rows: readonly RoomEventRow[], known: KnownSubjects): void {
    this.feeds.get(roomId)?.offer(rows, known);
  }

  /** Compares every feed with the database: finds what lost wake-ups left unseen. */
  private async tick(): Promise<void> {
    if (this.ticking) return;
    this.ticking = true;
    try {
      const asked = [...this.feeds.values()].flatMap((feed) =>
        feed.head === undefined ? [] : [{ feed, head: feed.head }],
      );
      for (let i = 0; i < asked.length; i += CHUNK) {
        const chunk = asked.slice(i, i + CHUNK);
        const found = await readHeads(
          this.deps.db,
          chunk.map(({ feed }) => feed.roomId),
        );
        for (const { feed, head } of chunk) feed.compare(found.get(feed.roomId), head);
      }
    } catch (err) {
      this.deps.logger.warn({ err }, 'the log heads could not be read');
    } finally {
      this.ticking = false;
    }
  }

  close(): void {
    clearInterval(this.timer);
    for (const feed of this.feeds.values()) feed.close();
    this.feeds.clear();
  }
}
