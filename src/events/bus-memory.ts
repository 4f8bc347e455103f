import { counts } from '../observability/counts.js';
import type { Bus, BusSubscription } from './bus.js';

/** The bus of a single process. Delivers in order, in a later turn of the event loop, as a carrier would; loses nothing. */
export class MemoryBus implements Bus {
  private readonly topics = new Map<string, Set<(message: unknown) => void>>();

  publish(topic: string, message: unknown): void {
    counts.busPublished += 1;
    setImmediate(() => {
      for (const listener of this.topics.get(topic) ?? []) listener(message);
    });
  }

  subscribe(topic: string, listener: (message: unknown) => void): Promise<BusSubscription> {
    const listeners = this.topics.get(topic) ?? new Set();
    listeners.add(listener);
    this.topics.set(topic, listeners);
    return Promise.resolve({
      unsubscribe: () => {
        listeners.delete(listener);
        if (listeners.size === 0 && this.topics.get(topic) === listeners) this.topics.delete(topic);
        return Promise.resolve();
      },
    });
  }

  onReconnect(): void {
    // It is never away.
  }

  ping(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.topics.clear();
    return Promise.resolve();
  }
}
