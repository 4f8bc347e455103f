import { EventEmitter } from 'node:events';
import { Redis } from 'ioredis';
import type { Logger } from '../observability/logger.js';
import {
  COMMAND_MS,
  KEEP_ALIVE_MS,
  PROBE_MS,
  retryDelay,
  SILENCE_MS,
  type RedisLink,
  type RedisListener,
} from './redis-link.js';

/** One Redis or Valkey at `url` (redis: or rediss:), with a connection for commands and one to listen. */
export function connectRedis(url: string, logger: Logger): RedisLink {
  const commands = new Redis(url, {
    // With an offline queue a publish would wait for as long as Redis is down.
    enableOfflineQueue: false,
    maxRetriesPerRequest: 1,
    commandTimeout: COMMAND_MS,
    connectTimeout: SILENCE_MS,
    socketTimeout: SILENCE_MS,
    keepAlive: KEEP_ALIVE_MS,
    retryStrategy: retryDelay,
  });
  commands.on('error', (err: Error) => {
    logger.warn({ err }, 'redis: command connection failed');
  });
  return {
    commands,
    publish: (channel, text) => commands.publish(channel, text),
    listen: () => new SingleListener(url, logger),
    close: () => {
      commands.disconnect();
    },
  };
}

class SingleListener extends EventEmitter<{ message: [string, string]; back: [] }> implements RedisListener {
  private readonly redis: Redis;
  private wasAway = false;
  private readonly probing: NodeJS.Timeout;
  /** Channels that the server has refused, with what to call once it lets us. */
  private readonly refused = new Map<string, () => void>();

  constructor(
    url: string,
    private readonly logger: Logger,
  ) {
    super();
    this.redis = new Redis(url, {
      maxRetriesPerRequest: null,
      enableReadyCheck: false,
      connectTimeout: SILENCE_MS,
      socketTimeout: SILENCE_MS,
      keepAlive: KEEP_ALIVE_MS,
      retryStrategy: retryDelay,
    });
    this.redis.on('message', (channel, text) => this.emit('message', channel, text));
    this.redis.on('error', (err: Error) => {
      logger.warn({ err }, 'redis: listening connection failed');
    });
    this.redis.on('close', () => {
      this.wasAway = true;
    });
    this.redis.on('ready', () => {
      if (this.wasAway) this.settle();
    });
    // Nobody else asks anything of this connection: one that has fallen silent would be listened to for ever.
    this.probing = setInterval(() => {
      if (this.redis.status !== 'ready') return;
      this.redis.ping().catch(() => undefined);
      for (const [channel, done] of this.refused) this.subscribe(channel, done);
    }, PROBE_MS);
    this.probing.unref();
  }

  /** ioredis has just written the SUBSCRIBEs; what is published before the server reads them is lost still, so `back` waits for that. */
  private settle(): void {
    this.redis.ping().then(
      () => {
        if (!this.wasAway) return;
        this.wasAway = false;
        this.logger.info('redis: listening again');
        this.emit('back');
      },
      // Closed again: the next time it is ready will tell.
      () => undefined,
    );
  }

  subscribe(channel: string, done: () => void): void {
    this.redis.subscribe(channel).then(
      () => {
        this.refused.delete(channel);
        done();
      },
      (err: unknown) => {
        // Closed, or not allowed to: then the feeds' own look at the log has to do.
        if (!this.refused.has(channel))
          this.logger.warn(
            { err, channel },
            'redis: a subscription was refused; does the user have rights to channels?',
          );
        this.refused.set(channel, done);
      },
    );
  }

  unsubscribe(channel: string): void {
    this.refused.delete(channel);
    // It rejects when the connection is closed meanwhile, and then there is nothing to leave.
    this.redis.unsubscribe(channel).catch(() => undefined);
  }

  isListening(): boolean {
    return this.redis.status === 'ready' && this.refused.size === 0;
  }

  close(): void {
    clearInterval(this.probing);
    this.redis.disconnect();
  }
}
