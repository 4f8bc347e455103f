import { RedisPubSub } from 'graphql-redis-subscriptions';
import { Redis } from 'ioredis';
import type { Logger } from '../observability/logger.js';
import type { Bus, BusSubscription } from './bus.js';

/** Messages on their way to Redis at once; what comes beyond is dropped, the log has it. */
const MAX_IN_FLIGHT = 10_000;

/**
 * The bus between processes: Redis or Valkey pub/sub through graphql-redis-subscriptions, with a connection to publish and
 * one to listen. Of the library only `publish` and `subscribe` with a callback are used: its iterators queue without bound.
 */
export class RedisBus implements Bus {
  private readonly listener: Redis;
  private readonly pubsub: RedisPubSub;
  private readonly reconnectListeners: (() => void)[] = [];
  private inFlight = 0;
  private wasAway = false;
  private closing = false;

  /**
   * `publisher` is shared with others and closed by its owner. It must have no offline queue, or a publish would wait for as
   * long as Redis is down.
   */
  constructor(
    url: string,
    private readonly publisher: Redis,
    private readonly logger: Logger,
  ) {
    this.listener = new Redis(url, {
      maxRetriesPerRequest: null,
      enableReadyCheck: false,
      retryStrategy: backoff,
    });
    this.listener.on('error', (err: Error) => {
      logger.warn({ err }, 'redis: listening connection failed');
    });
    this.listener.on('close', () => {
      this.wasAway = true;
    });
    this.listener.on('ready', () => {
      if (!this.wasAway) return;
      this.wasAway = false;
      logger.info('redis: listening again');
      for (const onReconnect of this.reconnectListeners) onReconnect();
    });
    // The library leaves the promise of UNSUBSCRIBE unhandled; it rejects when the connection is closed meanwhile.
    const { listener } = this;
    const unsubscribe = listener.unsubscribe.bind(listener);
    const punsubscribe = listener.punsubscribe.bind(listener);
    listener.unsubscribe = (...channels: unknown[]) => settled(unsubscribe(...(channels as string[])));
    listener.punsubscribe = (...patterns: unknown[]) => settled(punsubscribe(...(patterns as string[])));
    // And it rejects a promise of its own that nobody may be awaiting when a SUBSCRIBE is cut off by closing.
    const subscribe = listener.subscribe.bind(listener) as (channel: string, done: Done) => Promise<unknown>;
    Object.assign(listener, {
      subscribe: (channel: string, done?: Done) =>
        settled(
          subscribe(channel, (err) => {
            // When ioredis subscribes again by itself, nobody waits for it.
            if (!this.closing) done?.(err);
          }),
        ),
    });
    this.pubsub = new RedisPubSub({ publisher, subscriber: listener });
  }

  publish(topic: string, message: unknown): void {
    if (this.inFlight >= MAX_IN_FLIGHT) return;
    this.inFlight += 1;
    this.pubsub
      .publish(topic, message)
      .catch((err: unknown) => {
        this.logger.debug({ err, topic }, 'redis: a wake-up was dropped');
      })
      .finally(() => {
        this.inFlight -= 1;
      });
  }

  /** Waits for the acknowledgement of SUBSCRIBE; for as long as Redis is down. */
  async subscribe(topic: string, listener: (message: unknown) => void): Promise<BusSubscription> {
    const id = await this.pubsub.subscribe(topic, listener);
    return {
      unsubscribe: () => {
        this.pubsub.unsubscribe(id);
        return Promise.resolve();
      },
    };
  }

  onReconnect(listener: () => void): void {
    this.reconnectListeners.push(listener);
  }

  async ping(): Promise<void> {
    await this.publisher.ping();
    if (this.listener.status !== 'ready') throw new Error('redis: the listening connection is down');
  }

  close(): Promise<void> {
    this.closing = true;
    this.listener.disconnect();
    return Promise.resolve();
  }
}

/** The connection for commands: fails at once while Redis is away, so that nobody waits for it. */
export function connectRedis(url: string, logger: Logger): Redis {
  const redis = new Redis(url, {
    enableOfflineQueue: false,
    maxRetriesPerRequest: 1,
    retryStrategy: backoff,
  });
  redis.on('error', (err: Error) => {
    logger.warn({ err }, 'redis: command connection failed');
  });
  return redis;
}

type Done = (err: Error | null | undefined) => void;

const settled = (reply: Promise<unknown>): Promise<unknown> => reply.catch(() => undefined);

/** Milliseconds to wait before attempt number `attempt`. */
const backoff = (attempt: number): number => Math.min(50 * 2 ** Math.min(attempt, 6), 2000);
