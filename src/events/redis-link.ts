import type { Cluster, Redis } from 'ioredis';
import { backoff } from '../async/backoff.js';

/** The way to Redis: one server, or a cluster of them. Two implementations: redis-single.ts and redis-cluster.ts. */
export interface RedisLink {
  /** For commands. They fail soon while Redis is away, so that nobody waits for it. */
  readonly commands: Redis | Cluster;
  /** Rejects when the message could not be handed over. */
  publish(channel: string, text: string): Promise<unknown>;
  /** Begins to listen. Called once; the listener is closed before the link. */
  listen(): RedisListener;
  readonly close: () => void;
}

/**
 * What hears the channels. It connects again by itself, for as long as it takes, and never leaves a gap unsaid: whenever
 * a channel is heard again after it was not, `back` is emitted after that.
 */
export interface RedisListener {
  on(event: 'message', listener: (channel: string, text: string) => void): this;
  on(event: 'back', listener: () => void): this;
  /** Calls `done` once messages published from then on are heard, however long that takes. */
  subscribe(channel: string, done: () => void): void;
  unsubscribe(channel: string): void;
  /** Whether every channel that was asked for is heard now. */
  isListening(): boolean;
  close(): void;
}

/** Milliseconds to wait before attempt number `attempt`, counted from 1, to connect again. */
export const retryDelay = (attempt: number): number => backoff({ firstMs: 100, mostMs: 2000 }, attempt - 1);

/** Milliseconds after which a command counts as failed. Who signs in waits for three of them at most. */
export const COMMAND_MS = 1000;

/** Milliseconds after which a server that says nothing is taken to be away. */
export const SILENCE_MS = 2000;

/** Milliseconds between questions to a connection that only listens. */
export const PROBE_MS = 2000;

/** Milliseconds without use after which the system asks whether the other end is there. */
export const KEEP_ALIVE_MS = 10_000;
