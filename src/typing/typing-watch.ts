import type { FeedSubscription } from '../events/feed-subscription.js';
import type { TypingSignal } from '../events/bus.js';

/** A typist who is not heard of again has fallen silent after this long. */
export const SILENCE_MS = 6000;

export interface TypingChange {
  readonly userId: string;
  readonly typing: boolean;
  readonly expiresAt: Date | null;
}

/**
 * Typing in one room for one subscriber. Holds the newest change of each typist, so a slow reader costs a bounded amount and
 * is told the present. A typist who is not heard of again is reported silent by a timer.
 */
export class TypingWatch implements AsyncIterableIterator<TypingChange> {
  private readonly pending = new Map<string, TypingChange>();
  private readonly timers = new Map<string, NodeJS.Timeout>();
  private readonly stopListening: () => void;
  private wake: (() => void) | undefined;

  constructor(private readonly subscription: FeedSubscription) {
    this.stopListening = subscription.feed.onTyping((signal) => {
      this.onSignal(signal);
    });
    subscription.onEnd = () => {
      this.stop();
    };
    // Who left while they were let in is over already, and is told so by the first `next`.
    if (subscription.isOver) this.stop();
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
      this.put({ userId, typing, expiresAt: new Date(expiresAt) });
    } else if (known !== undefined) {
      this.put({ userId, typing, expiresAt: null });
    }
  }

  private put(change: TypingChange): void {
    this.pending.set(change.userId, change);
    this.wake?.();
  }

  private stop(): void {
    this.stopListening();
    for (const timer of this.timers.values()) clearTimeout(timer);
    this.timers.clear();
    this.pending.clear();
    this.wake?.();
  }
}
