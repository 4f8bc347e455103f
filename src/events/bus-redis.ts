import { RedisPubSub } from 'graphql-redis-subscriptions';
import type { Redis } from 'ioredis';
import { counts } from '../observability/counts.js';
import type { Logger } from '../observability/logger.js';
import type { Bus, BusSubscription } from './bus.js';
import type { RedisLink, RedisListener } from './redis-link.js';

/** Messages on their way to Redis at once; what comes beyond is dropped, the log has it. */
const MAX_IN_FLIGHT = 10_000;

/**
 * The bus between processes: the pub/sub of Redis or Valkey through graphql-redis-subscriptions, over a link to one server
 * or to a cluster. Of the library only `publish` and `subscribe` with a callback are used: its iterators queue without bound.
 */
export class RedisBus implements Bus {
  private readonly listener: RedisListener;
  private readonly pubsub: RedisPubSub;
  private inFlight = 0;
  /** Why the last message could not be published for lack of a right. */
  private refusal: string | undefined;

  /** The link is closed by its owner, after the bus. */
  constructor(
    private readonly link: RedisLink,
    private readonly logger: Logger,
  ) {
    this.listener = link.listen();
    this.listener.on('back', () => {
      counts.busReconnects += 1;
    });
    this.pubsub = new RedisPubSub({
      publisher: asClient({ publish: (channel: string, text: string) => link.publish(channel, text) }),
      subscriber: asClient({
        on: this.listener.on.bind(this.listener),
        subscribe: (channel: string, done: () => void) => {
          this.listener.subscribe(channel, done);
        },
        unsubscribe: (channel: string) => {
          this.listener.unsubscribe(channel);
        },
        // The library leaves a channel as a pattern too; nobody listens to patterns here.
        punsubscribe: () => undefined,
      }),
    });
  }

  publish(topic: string, message: unknown): void {
    if (this.inFlight >= MAX_IN_FLIGHT) {
      counts.busDropped.in_flight += 1;
      return;
    }
    counts.busPublished += 1;
    this.inFlight += 1;
    this.pubsub
      .publish(topic, message)
      .then(
        () => {
          this.refusal = undefined;
        },
        (err: unknown) => {
          counts.busDropped.failed += 1;
          this.logger.debug({ err, topic }, 'redis: a wake-up was dropped');
          this.refusal = err instanceof Error && err.message.startsWith('NOPERM') ? err.message : undefined;
        },
      )
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
    this.listener.on('back', listener);
  }

  async ping(): Promise<void> {
    await this.link.commands.ping();
    if (this.refusal !== undefined)
      throw new Error(`redis: the user may not publish to channels: ${this.refusal}`);
    if (!this.listener.isListening()) throw new Error('redis: not everything is listened to');
  }

  close(): Promise<void> {
    this.listener.close();
    return Promise.resolve();
  }
}

/** The library takes clients of ioredis, and calls no more of them than is given here. */
const asClient = (parts: object): Redis => parts as Redis;
