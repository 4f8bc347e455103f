import type { Feed, FeedSubscription } from '../events/feed-subscription.js';
import { RoomTyping, type TypingChange } from './room-typing.js';

/**
 * Typing in one room for one subscriber. Holds the newest change of each typist, so a slow reader costs a bounded amount and
 * is told the present. Of one who stops is told who was told that they began.
 */
export class TypingWatch implements AsyncIterableIterator<TypingChange> {
  private readonly pending = new Map<string, TypingChange>();
  private readonly typists = new Set<string>();
  private readonly stopWatching: () => void;
  private wake: (() => void) | undefined;

  constructor(private readonly subscription: FeedSubscription) {
    this.stopWatching = RoomTyping.of(subscription.feed).watch((change) => this.onChange(change));
    subscription.onEnd = () => {
      this.stop();
    };
    // Who left while they were let in is over already, and is told so by the first `next`.
    if (subscription.isOver) this.stop();
  }

  get feed(): Feed {
    return this.subscription.feed;
  }

  async next(): Promise<IteratorResult<TypingChange, undefined>> {
    for (;;) {
      const { error, isOver } = this.subscription;
      if (error !== undefined) throw error;
      if (isOver) return { done: true, value: undefined };
      const [change] = this.pending.values();
      if (change !== undefined) {
        this.pending.delete(change.userId);
        return { done: false, value: change };
      }
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
  }

  return(): Promise<IteratorResult<TypingChange, undefined>> {
    this.subscription.close();
    return Promise.resolve({ done: true, value: undefined });
  }

  throw(error: unknown): Promise<IteratorResult<TypingChange, undefined>> {
    this.subscription.close();
    return Promise.reject(error instanceof Error ? error : new Error(String(error)));
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  private onChange(change: TypingChange): void {
    if (change.typing) this.typists.add(change.userId);
    else if (!this.typists.delete(change.userId)) return;
    this.pending.set(change.userId, change);
    this.wake?.();
  }

  private stop(): void {
    this.stopWatching();
    this.pending.clear();
    this.wake?.();
  }
}
