import type { Now } from '../db/clock.js';
import type { MessageRow, RoomEventRow, UserRow } from '../db/tables.js';
import { forbidden, type ParleyError } from '../errors.js';
import type { TypingSignal } from './bus.js';
import type { LogHead } from './event-log.js';

/** What this process knows of the subjects of events that it has just written itself, as of then. */
export interface KnownSubjects {
  readonly messages: readonly KnownMessage[];
  readonly users: Iterable<Pick<UserRow, 'id' | 'handle' | 'name' | 'created_at'>>;
}

export interface KnownMessage {
  readonly row: MessageRow;
  readonly fileIds: readonly string[];
}

export type AppendListener = (rows: readonly RoomEventRow[], known: KnownSubjects | undefined) => void;

/** What a subscriber needs of the feed that it follows (RoomFeed). */
export interface Feed {
  readonly roomId: string;
  /** The database's clock. */
  readonly now: Now;
  /** How far the feed has read the log; undefined before it is armed. */
  readonly head: LogHead | undefined;
  readonly armed: Promise<void>;
  /** Reads the log as far as `seq` at least; where it cannot be read, that is left to the tick. Never rejects. */
  reach(seq: number): Promise<void>;
  /** The next events after `seq`, as far as the head. Throws CURSOR_EXPIRED at a hole. */
  after(seq: number): Promise<readonly RoomEventRow[]>;
  onTyping(listener: (signal: TypingSignal) => void): () => void;
  /** Calls `listener` with the rows that the head moves on by, and with what is known of their subjects. Answers how to stop. */
  onAppend(listener: AppendListener): () => void;
}

/**
 * A subscriber: a position in a room's log, not a queue, so a slow one costs no memory. It reads from the feed's ring, or from
 * the log when it fell behind, and learns there when the user left the room.
 */
export class FeedSubscription {
  private position = 0;
  private memberSince: number | undefined;
  private leftAt = 0;
  private ended: ParleyError | 'closed' | undefined;
  private waiting: (() => void) | undefined;

  constructor(
    readonly feed: Feed,
    readonly userId: string,
    private readonly onClose: () => void,
  ) {}

  /**
   * Begins after `position`. `memberSince`: the seq at which the user joined, as the check of their right found it; an
   * earlier departure that is only now read ends nothing, for they came back.
   */
  start(position: number, memberSince: number): void {
    this.position = position;
    this.memberSince = memberSince;
    this.left(this.leftAt);
  }

  /** The user left the room at `seq`. */
  left(seq: number): void {
    this.leftAt = Math.max(this.leftAt, seq);
    if (this.memberSince !== undefined && this.leftAt > this.memberSince) {
      this.end(forbidden('You are no longer a member of this room.'));
    }
  }

  /** Whether everything that the feed has reached was read. */
  get caughtUp(): boolean {
    return this.position >= (this.feed.head?.seq ?? 0);
  }

  /** Why it ended; undefined while it goes on, or when it was closed from this side. */
  get error(): ParleyError | undefined {
    return this.ended === 'closed' ? undefined : this.ended;
  }

  get isOver(): boolean {
    return this.ended !== undefined;
  }

  /**
   * The next events in order, or undefined when `idleMs` passed without any, or when it is over. Throws CURSOR_EXPIRED where
   * the log no longer holds what comes next. One read at a time.
   */
  async read(idleMs: number): Promise<readonly RoomEventRow[] | undefined> {
    const deadline = performance.now() + idleMs;
    while (!this.isOver && this.caughtUp) {
      if (performance.now() >= deadline) return undefined;
      await this.wait(deadline - performance.now());
    }
    if (this.isOver) return undefined;
    const rows = await this.feed.after(this.position);
    this.position = rows.at(-1)?.seq ?? this.position;
    return rows;
  }

  /** What follows up to `seq` reached the subscriber by another way. */
  moveTo(seq: number): void {
    this.position = seq;
  }

  private async wait(ms: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.waiting = resolve;
      timer = setTimeout(resolve, ms);
    });
    clearTimeout(timer);
    this.waiting = undefined;
  }

  /** Lets a waiting `read` look again. */
  wake(): void {
    this.waiting?.();
  }

  /** Ends it from the server's side, once. */
  end(error: ParleyError): void {
    this.finish(error);
  }

  /** Ends it from the client's side. */
  close(): void {
    this.finish('closed');
  }

  private finish(how: ParleyError | 'closed'): void {
    if (this.ended !== undefined) return;
    this.ended = how;
    this.onClose();
    this.wake();
    this.onEnd?.(this.error);
  }

  /** Called once when it is over, with the error unless it was closed from this side, for whoever does not wait in `read`. */
  onEnd: ((error: ParleyError | undefined) => void) | undefined;
}
