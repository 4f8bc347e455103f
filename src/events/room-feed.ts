import type { Now } from '../db/clock.js';
import type { Database } from '../db/database.js';
import type { RoomEventRow } from '../db/tables.js';
import { notFound, ParleyError } from '../errors.js';
import { counts } from '../observability/counts.js';
import type { Logger } from '../observability/logger.js';
import { tracing, type Tracing } from '../observability/tracing.js';
import { roomTopic, type Bus, type BusSubscription, type RoomSignal, type TypingSignal } from './bus.js';
import { encodeEventCursor } from './event-cursor.js';
import { contiguous, cursorExpired, readHeads, readLog, type LogHead } from './event-log.js';
import { FeedSubscription, type AppendListener, type Feed, type KnownSubjects } from './feed-subscription.js';

/** Newest events that a feed keeps in memory. A subscriber that falls further behind reads from the log. */
const RING = 512;
/** Events a read of the log fetches. */
const PAGE = 200;
/** Older pages kept for others who catch up at the same time. */
const KEPT_PAGES = 16;

export interface RoomFeedDeps {
  readonly db: Database;
  readonly bus: Bus;
  readonly logger: Logger;
  /** The database's clock. */
  readonly now?: Now;
}

/**
 * What one process knows of one room's log while it has subscribers there: its head, a ring of the newest events, and who
 * listens. Woken by the bus; reads the log, which is the truth. Events are appended in order, without a hole, once each.
 */
export class RoomFeed implements Feed {
  /** Undefined until the log was read for the first time. */
  head: LogHead | undefined;
  /** Resolves once `head` is set; rejects when the room is gone or the database is away. */
  readonly armed: Promise<void>;
  private ring: RoomEventRow[] = [];
  private readonly pages = new Map<number, Promise<RoomEventRow[]>>();
  private readonly subscriptions = new Set<FeedSubscription>();
  private readonly typingListeners = new Set<(signal: TypingSignal) => void>();
  private readonly appendListeners = new Set<AppendListener>();
  private readonly bus: Promise<BusSubscription>;
  private reading: Promise<void> | undefined;
  private readAgain = false;
  readonly now: Now;

  constructor(
    readonly roomId: string,
    private readonly deps: RoomFeedDeps,
    private readonly onEmpty: () => void,
  ) {
    this.now = deps.now ?? (() => Date.now());
    this.bus = deps.bus.subscribe(roomTopic(roomId), (message) => {
      this.onSignal(message as RoomSignal);
    });
    this.armed = this.arm();
    // Whoever subscribes awaits it too; this keeps a rejection that nobody awaited any more from ending the process.
    this.armed.catch(() => undefined);
    this.bus.then(
      // What was published before the carrier listened woke nobody.
      () => this.catchUp(),
      (err: unknown) => {
        deps.logger.warn({ err, roomId }, 'the bus refused a subscription; the tick will do');
      },
    );
  }

  private async arm(): Promise<void> {
    const heads = await readHeads(this.deps.db, [this.roomId]);
    const head = heads.get(this.roomId);
    if (head === undefined) throw notFound('The room');
    this.head = head;
  }

  /** Adds a subscriber of `userId`, who sees nothing before `start` (FeedSubscription). */
  subscribe(userId: string): FeedSubscription {
    const subscription = new FeedSubscription(this, userId, () => {
      this.subscriptions.delete(subscription);
      if (this.subscriptions.size === 0) this.onEmpty();
    });
    this.subscriptions.add(subscription);
    return subscription;
  }

  onTyping(listener: (signal: TypingSignal) => void): () => void {
    this.typingListeners.add(listener);
    return () => this.typingListeners.delete(listener);
  }

  onAppend(listener: AppendListener): () => void {
    this.appendListeners.add(listener);
    return () => this.appendListeners.delete(listener);
  }

  /** The events after `seq` that the feed has reached, from the ring or the log. Throws CURSOR_EXPIRED at a hole. */
  async after(seq: number): Promise<readonly RoomEventRow[]> {
    const head = this.head?.seq ?? 0;
    const oldest = this.ring[0]?.seq ?? head + 1;
    if (seq + 1 >= oldest) return this.ring.slice(seq + 1 - oldest, seq + 1 - oldest + PAGE);
    counts.ringMisses += 1;
    // Pages begin at multiples of their size, so that those who catch up from different places share them.
    const start = seq - (seq % PAGE);
    const rows = (await this.page(start)).filter((row) => row.seq > seq && row.seq <= head);
    if (rows[0]?.seq !== seq + 1) {
      counts.gaps.trimmed += 1;
      throw cursorExpired(this.cursor());
    }
    return contiguous(rows, seq);
  }

  private page(start: number): Promise<RoomEventRow[]> {
    const kept = this.pages.get(start);
    if (kept !== undefined) return kept;
    counts.logPages += 1;
    const page = readLog(this.deps.db, this.roomId, start, PAGE);
    this.pages.set(start, page);
    const forget = (): void => {
      if (this.pages.get(start) === page) this.pages.delete(start);
    };
    page.then((rows) => {
      if (rows.length < PAGE) forget();
      const [first] = this.pages.keys();
      if (this.pages.size > KEPT_PAGES && first !== undefined) this.pages.delete(first);
    }, forget);
    return page;
  }

  /**
   * Takes events that this process has just committed, when they come right after the head: so its own subscribers need not wait until
   * they are read. What does not fit here is read as ever, when the wake-up arrives.
   */
  offer(rows: readonly RoomEventRow[], known: KnownSubjects): void {
    const [first] = rows;
    if (first === undefined || this.reading !== undefined || first.seq !== (this.head?.seq ?? NaN) + 1)
      return;
    this.append(rows, known);
  }

  private onSignal(signal: RoomSignal): void {
    if (signal.type === 'typing') for (const listener of this.typingListeners) listener(signal);
    else if (tracing !== undefined && signal.traceparent !== undefined)
      this.joinTrace(tracing, signal.seq, signal.traceparent);
    else void this.reach(signal.seq);
  }

  async reach(seq: number): Promise<void> {
    if (this.head !== undefined && seq > this.head.seq) await this.catchUp();
  }

  /** The same as part of the trace of the write. */
  private joinTrace(active: Tracing, seq: number, parent: string): void {
    active.woken(this.roomId, seq, parent);
    const name = `receive ${roomTopic(this.roomId)}`;
    void active.span({ name, kind: 'consumer', parent }, () => this.reach(seq));
  }

  /**
   * Told where the log ends in the database, and where the feed stood when that was asked. A log that ends earlier, or
   * elsewhere at the same seq, lost commits (a restore, a failover): whoever followed it must fetch anew.
   */
  compare(found: LogHead | undefined, asked: LogHead): void {
    if (found === undefined) {
      this.endAll();
    } else if (found.seq < asked.seq || (found.seq === asked.seq && found.tag !== asked.tag)) {
      counts.gaps.lost_commits += 1;
      this.deps.logger.error({ roomId: this.roomId, found, asked }, 'the room log lost commits');
      this.ring = [];
      this.pages.clear();
      this.head = found;
      for (const subscription of [...this.subscriptions]) subscription.end(cursorExpired(this.cursor()));
    } else if (this.head !== undefined && found.seq > this.head.seq) {
      counts.wakeUpsMissed += found.seq - this.head.seq;
      void this.catchUp();
    }
  }

  /** Reads the log from the head on, once at a time however often it is asked for. Never rejects. */
  catchUp(): Promise<void> {
    if (this.reading !== undefined) {
      this.readAgain = true;
      return this.reading;
    }
    this.reading = this.readOn().finally(() => {
      this.reading = undefined;
    });
    return this.reading;
  }

  private async readOn(): Promise<void> {
    try {
      await this.armed;
      while (await this.readPage());
    } catch (error) {
      if (error instanceof ParleyError && error.code === 'CURSOR_EXPIRED') {
        counts.gaps.hole += 1;
        this.deps.logger.error({ roomId: this.roomId, head: this.head }, 'the room log has a hole');
        for (const subscription of [...this.subscriptions]) subscription.end(cursorExpired(this.cursor()));
      } else {
        this.deps.logger.warn(
          { err: error, roomId: this.roomId },
          'the room log could not be read; the tick will try again',
        );
      }
    }
  }

  /** Answers whether there is more to read: the page was full, or someone asked meanwhile. */
  private async readPage(): Promise<boolean> {
    this.readAgain = false;
    const from = this.head?.seq ?? 0;
    const rows = contiguous(await readLog(this.deps.db, this.roomId, from, PAGE), from);
    // `compare` may have moved the head while the log was read.
    if (this.head?.seq === from) this.append(rows);
    return rows.length === PAGE || this.readAgain;
  }

  private append(rows: readonly RoomEventRow[], known?: KnownSubjects): void {
    const last = rows.at(-1);
    if (last === undefined) return;
    counts.events += rows.length;
    this.ring.push(...rows);
    if (this.ring.length > RING) this.ring.splice(0, this.ring.length - RING);
    this.head = { seq: last.seq, tag: last.tag };
    // Nothing follows it, and it is told to nobody.
    if (last.kind === 'ROOM_DELETED') {
      this.endAll();
      return;
    }
    for (const row of rows) if (row.kind === 'MEMBER_LEFT') this.revoke(row);
    for (const subscription of this.subscriptions) subscription.wake();
    for (const listener of this.appendListeners) listener(rows, known);
  }

  /** Rights live here: whoever left is cut off on this process at once, wherever their subscriptions stand. */
  private revoke({ user_id: userId, seq }: RoomEventRow): void {
    for (const subscription of [...this.subscriptions]) {
      if (subscription.userId === userId) subscription.left(seq);
    }
  }

  /** The room is gone, for all who follow it here, wherever they stand. */
  private endAll(): void {
    for (const subscription of [...this.subscriptions]) subscription.end(notFound('The room'));
  }

  private cursor(): string | undefined {
    return this.head === undefined ? undefined : encodeEventCursor({ roomId: this.roomId, ...this.head });
  }

  /** Stops listening. The bus is left only once it has acknowledged that it listens. */
  close(): void {
    this.bus.then((subscription) => subscription.unsubscribe()).catch(() => undefined);
  }
}
