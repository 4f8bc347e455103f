import type { TypingSignal } from '../events/bus.js';
import type { Feed } from '../events/feed-subscription.js';

/** A typist who is not heard of again has fallen silent after this long. */
export const SILENCE_MS = 6000;

export interface TypingChange {
  readonly userId: string;
  readonly typing: boolean;
  readonly expiresAt: Date | null;
}

const rooms = new WeakMap<Feed, RoomTyping>();

/**
 * Who types in one room, as this process hears of it: one for all who watch there, so that a change is one object for all of them.
 * A typist who is not heard of again is told to have stopped, by a timer.
 */
export class RoomTyping {
  private readonly watchers = new Set<(change: TypingChange) => void>();
  private readonly timers = new Map<string, NodeJS.Timeout>();
  private stopListening: (() => void) | undefined;

  private constructor(private readonly feed: Feed) {}

  static of(feed: Feed): RoomTyping {
    let room = rooms.get(feed);
    if (room === undefined) rooms.set(feed, (room = new RoomTyping(feed)));
    return room;
  }

  /** Calls `watcher` with every change. Answers how to stop. */
  watch(watcher: (change: TypingChange) => void): () => void {
    this.watchers.add(watcher);
    this.stopListening ??= this.feed.onTyping((signal) => this.onSignal(signal));
    return () => {
      this.watchers.delete(watcher);
      if (this.watchers.size > 0) return;
      this.stopListening?.();
      this.stopListening = undefined;
      for (const timer of this.timers.values()) clearTimeout(timer);
      this.timers.clear();
    };
  }

  private onSignal({ userId, typing, expiresAt }: TypingSignal): void {
    const known = this.timers.get(userId);
    clearTimeout(known);
    this.timers.delete(userId);
    if (typing) {
      // From now on, and not until `expiresAt`: the clocks of processes differ.
      const timer = setTimeout(() => {
        this.onSignal({ type: 'typing', userId, typing: false, expiresAt: 0 });
      }, SILENCE_MS);
      this.timers.set(userId, timer);
      this.tell({ userId, typing, expiresAt: new Date(expiresAt) });
    } else if (known !== undefined) {
      this.tell({ userId, typing, expiresAt: null });
    }
  }

  private tell(change: TypingChange): void {
    for (const watcher of this.watchers) watcher(change);
  }
}
