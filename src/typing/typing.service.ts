import type { Now } from '../db/clock.js';
import type { Database } from '../db/database.js';
import { forbidden, notFound } from '../errors.js';
import { roomTopic, type Bus, type RoomSignal } from '../events/bus.js';
import type { RoomFeeds } from '../events/room-feeds.js';
import { canRead, canSee } from '../rooms/rooms.policy.js';
import { membershipOf, roomsByIds } from '../rooms/rooms.queries.js';
import { Typist } from './typist.js';
import { TypingWatch } from './typing-watch.js';

/** Milliseconds between two looks who has fallen silent. */
const FORGET_MS = 10_000;

export interface TypingDeps {
  readonly db: Database;
  readonly bus: Bus;
  readonly feeds: RoomFeeds;
  /** The database's clock. */
  readonly now: Now;
}

/** Who is typing where. No part of the log: it goes by the bus alone, is never stored and never replayed. */
export class TypingService {
  /** By `room:user`. */
  private readonly typists = new Map<string, Typist>();
  private forgetting: NodeJS.Timeout | undefined;

  constructor(private readonly deps: TypingDeps) {}

  /** Answers when the typist falls silent unless they are heard of again; null after `typing: false`. */
  async set(actorId: string, roomId: string, typing: boolean): Promise<Date | null> {
    await this.checkMember(actorId, roomId);
    return this.typist(actorId, roomId).say(typing);
  }

  /** Who begins and stops typing in the room. Ends with FORBIDDEN once the user has left. Throws NOT_FOUND, FORBIDDEN. */
  async watch(actorId: string, roomId: string): Promise<TypingWatch> {
    const subscription = this.deps.feeds.subscribe(roomId, actorId);
    try {
      await subscription.feed.armed;
      const { joined_seq: memberSince } = await this.checkMember(actorId, roomId);
      subscription.start(Number.MAX_SAFE_INTEGER, memberSince);
      return new TypingWatch(subscription);
    } catch (error) {
      subscription.close();
      throw error;
    }
  }

  private async checkMember(userId: string, roomId: string) {
    const membership = await membershipOf(this.deps.db, roomId, userId);
    if (membership !== undefined && canRead(membership.role)) return membership;
    const [room] = await roomsByIds(this.deps.db, [roomId]);
    if (room === undefined || !canSee(room, undefined)) throw notFound('The room');
    throw forbidden('Only members can see or tell who is typing: join the room first.');
  }

  private typist(userId: string, roomId: string): Typist {
    const key = `${roomId}:${userId}`;
    let typist = this.typists.get(key);
    if (typist === undefined) {
      typist = new Typist((typing, expiresAt) => {
        const signal: RoomSignal = { type: 'typing', userId, typing, expiresAt };
        this.deps.bus.publish(roomTopic(roomId), signal);
      }, this.deps.now);
      this.typists.set(key, typist);
      this.forgetting ??= setInterval(() => this.forget(), FORGET_MS).unref();
    }
    return typist;
  }

  private forget(): void {
    const now = this.deps.now();
    for (const [key, typist] of this.typists) if (typist.isForgotten(now)) this.typists.delete(key);
    if (this.typists.size > 0) return;
    clearInterval(this.forgetting);
    this.forgetting = undefined;
  }
}
