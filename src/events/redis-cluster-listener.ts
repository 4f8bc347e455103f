import { EventEmitter } from 'node:events';
import { Command, type Cluster, type RedisOptions } from 'ioredis';
import type { Logger } from '../observability/logger.js';
import { PROBE_MS, retryDelay, type RedisListener } from './redis-link.js';
import { ShardConnection } from './redis-shard.js';

interface Channel {
  readonly name: string;
  readonly slot: number;
  readonly done: () => void;
  /** Where it was asked for. */
  shard: ShardConnection | undefined;
  /** Whether that has acknowledged it. */
  heard: boolean;
  /** Whether `done` was called: from then on, to be heard anew is to have missed something. */
  known: boolean;
}

/**
 * Listens to shard channels of a cluster, each at the master that has its slot, with one connection for each master where there are any. What
 * ioredis has for this says nothing of gaps (ShardConnection), so of it only the map of slots is used: each time that is read, and whenever
 * a connection ends, every channel goes where it belongs now.
 */
export class ClusterListener
  extends EventEmitter<{ message: [string, string]; back: [] }>
  implements RedisListener
{
  private readonly channels = new Map<string, Channel>();
  private readonly shards = new Map<string, ShardConnection>();
  /** Nodes whose connection ended: how often since it last heard anything, and when there may be the next one. */
  private readonly failures = new Map<
    string,
    { readonly count: number; retry: NodeJS.Timeout | undefined }
  >();
  private telling: NodeJS.Immediate | undefined;
  private readonly probing: NodeJS.Timeout;
  private closing = false;

  /** `options`: user, password and TLS of every node. */
  constructor(
    private readonly cluster: Cluster,
    private readonly options: RedisOptions,
    private readonly logger: Logger,
  ) {
    super();
    cluster.on('refresh', this.onSlots);
    // By its own clock: slots are not read while the other connections are silent too.
    this.probing = setInterval(() => {
      for (const shard of this.shards.values()) shard.probe();
    }, PROBE_MS);
    this.probing.unref();
  }

  subscribe(name: string, done: () => void): void {
    const slot = new Command('ssubscribe', [name]).getSlot();
    const channel: Channel = { name, slot, done, shard: undefined, heard: false, known: false };
    this.channels.set(name, channel);
    this.place(channel);
  }

  unsubscribe(name: string): void {
    const channel = this.channels.get(name);
    this.channels.delete(name);
    // One that is not acknowledged yet is left once it is.
    if (channel?.heard === true) channel.shard?.forget(name);
  }

  isListening(): boolean {
    return [...this.channels.values()].every(({ heard }) => heard);
  }

  close(): void {
    this.closing = true;
    this.cluster.off('refresh', this.onSlots);
    clearInterval(this.probing);
    clearImmediate(this.telling);
    for (const { retry } of this.failures.values()) clearTimeout(retry);
    for (const shard of this.shards.values()) shard.close();
  }

  private readonly onSlots = (): void => {
    const masters = new Set(this.cluster.slots.map(([master]) => master));
    for (const [node, shard] of this.shards) {
      if (!masters.has(node)) shard.end(new Error('the node has no slots any more'));
    }
    for (const node of this.failures.keys()) if (!masters.has(node)) this.forgive(node);
    this.placeAll();
  };

  private placeAll(): void {
    for (const channel of this.channels.values()) this.place(channel);
  }

  /** Asks for the channel where its slot is, unless that is done or has to wait. */
  private place(channel: Channel): void {
    const master = this.cluster.slots[channel.slot]?.[0];
    if (master === undefined || channel.shard?.node === master) return;
    const shard = this.connectionTo(master);
    if (shard === undefined) return;
    if (channel.heard) channel.shard?.forget(channel.name);
    channel.shard = shard;
    channel.heard = false;
    shard.listen(channel.name).then(
      () => {
        this.acknowledged(channel, shard);
      },
      (err: unknown) => {
        shard.end(err);
      },
    );
  }

  private acknowledged(channel: Channel, shard: ShardConnection): void {
    if (this.shards.get(shard.node) !== shard) return;
    this.failures.delete(shard.node);
    const wanted = this.channels.get(channel.name);
    if (wanted?.shard !== shard) shard.forget(channel.name);
    if (wanted !== channel || channel.shard !== shard) return;
    channel.heard = true;
    if (channel.known) {
      this.tellBack();
      return;
    }
    channel.known = true;
    channel.done();
  }

  private connectionTo(node: string): ShardConnection | undefined {
    if (this.failures.get(node)?.retry !== undefined) return undefined;
    const there = this.shards.get(node);
    if (there !== undefined) return there;
    const shard = new ShardConnection(node, this.options, {
      onMessage: (channel, text) => this.emit('message', channel, text),
      onEnd: (ended, reason) => {
        this.onEnd(ended, reason);
      },
    });
    this.shards.set(node, shard);
    return shard;
  }

  private onEnd(shard: ShardConnection, reason: unknown): void {
    const { node } = shard;
    this.shards.delete(node);
    this.logger.warn({ err: reason, node }, 'redis: a listening connection ended');
    for (const channel of this.channels.values()) {
      if (channel.shard !== shard) continue;
      channel.shard = undefined;
      channel.heard = false;
    }
    const count = (this.failures.get(node)?.count ?? 0) + 1;
    const retry = setTimeout(() => {
      this.failures.set(node, { count, retry: undefined });
      this.placeAll();
    }, retryDelay(count));
    this.failures.set(node, { count, retry });
    // Most likely another node has its slots by now, or soon.
    this.cluster.refreshSlotsCache();
  }

  private forgive(node: string): void {
    clearTimeout(this.failures.get(node)?.retry);
    this.failures.delete(node);
  }

  /** Once for all that are acknowledged in one turn. */
  private tellBack(): void {
    if (this.telling !== undefined || this.closing) return;
    this.telling = setImmediate(() => {
      this.telling = undefined;
      this.logger.info('redis: listening again');
      this.emit('back');
    });
  }
}
