import { Redis, type RedisOptions } from 'ioredis';
import { SILENCE_MS } from './redis-link.js';

export interface ShardEvents {
  readonly onMessage: (channel: string, text: string) => void;
  /** Once, for whatever reason but `close`. Nothing is heard by this connection any more. */
  readonly onEnd: (shard: ShardConnection, reason: unknown) => void;
}

/**
 * A connection that listens to channels of one node of a cluster. It mends nothing: whatever is odd about it ends it, and
 * whoever made it makes another. That is because of what ioredis 5.11 leaves unsaid:
 * - a SUNSUBSCRIBE that the server sends when a slot leaves it has no event; it shows as an `error` of the command queue, which
 *   may have answered another command by it meanwhile;
 * - a SSUBSCRIBE that is answered by MOVED settles never; there is a `moved` event that does not say which one it was.
 */
export class ShardConnection {
  private readonly redis: Redis;
  private ended = false;
  /** A server before Redis 7 knows no shard channels; plain ones reach all nodes of its cluster. */
  private plain = false;

  /** `node`: host:port, as ioredis names the nodes of a cluster. */
  constructor(
    readonly node: string,
    options: RedisOptions,
    private readonly events: ShardEvents,
  ) {
    const colon = node.lastIndexOf(':');
    this.redis = new Redis({
      ...options,
      host: node.slice(0, colon),
      port: Number(node.slice(colon + 1)),
      retryStrategy: null,
      maxRetriesPerRequest: null,
      enableReadyCheck: false,
      connectTimeout: SILENCE_MS,
      socketTimeout: SILENCE_MS,
    });
    for (const event of ['message', 'smessage']) this.redis.on(event, events.onMessage);
    this.redis.on('error', (err: Error) => {
      this.end(err);
    });
    this.redis.on('moved', () => {
      this.end(new Error('a slot is not here any more'));
    });
    this.redis.on('close', () => {
      this.end(new Error('the connection was closed'));
    });
  }

  /** Resolves once the server has acknowledged. Rejects when it refuses, or the connection breaks; or never, and then `onEnd` is called. */
  async listen(channel: string): Promise<void> {
    if (!this.plain) {
      try {
        await this.redis.ssubscribe(channel);
        return;
      } catch (error) {
        if (!isUnknownCommand(error)) throw error;
        this.plain = true;
      }
    }
    await this.redis.subscribe(channel);
  }

  forget(channel: string): void {
    const left = this.plain ? this.redis.unsubscribe(channel) : this.redis.sunsubscribe(channel);
    left.catch(() => undefined);
  }

  /** Asks for an answer: a server that has gone without a word is found out by its silence. */
  probe(): void {
    this.redis.ping().catch(() => undefined);
  }

  end(reason: unknown): void {
    if (this.ended) return;
    this.close();
    this.events.onEnd(this, reason);
  }

  close(): void {
    this.ended = true;
    this.redis.removeAllListeners();
    // An error that comes yet is nobody's.
    this.redis.on('error', () => undefined);
    this.redis.disconnect();
  }
}

/** Whether a server says that it is older than the command. */
export const isUnknownCommand = (error: unknown): boolean =>
  error instanceof Error && /^ERR unknown command/i.test(error.message);
