import type { Database } from '../db/database.js';
import { forbidden, notFound } from '../errors.js';
import { roomTopic, type Bus, type RoomSignal } from '../events/bus.js';
import type { RoomFeeds } from '../events/room-feeds.js';
import { canRead, canSee } from '../rooms/rooms.policy.js';
import { membershipOf, roomsByIds } from '../rooms/rooms.queries.js';
import { SILENCE_MS } from './room-typing.js';
import { TypingWatch } from './typing-watch.js';

/** A typist is told to the room this often at most. */
const THROTTLE_MS = 2000;

export interface TypingDeps {
  readonly db: Database;
  readonly bus: Bus;
  readonly feeds: RoomFeeds;
}

/** Who is typing where. No part of the log: it goes by the bus alone, is never stored and never replayed. */
export class TypingService {
  /** When each typist of a room was last told of, by `room:user`; forgotten once they are silent. */
  private readonly told = new Map<string, { at: number; forget: NodeJS.Timeout }>();

  constructor(private readonly deps: TypingDeps) {}

  /** Answers when the typist falls silent unless they are heard of again; null after `typing: false`. */
  async set(actorId: string, roomId: string, typing: boolean): Promise<Date | null> {
    await this.checkMember(actorId, roomId);
    const key = `${roomId}:${actorId}`;
    const told = this.told.get(key);
    const now = Date.now();
    if (!typing) {
      this.forget(key);
      this.tell(roomId, { type: 'typing', userId: actorId, typing, expiresAt: 0 });
      return null;
    }
    if (told !== undefined && now - told.at < THROTTLE_MS) return new Date(told.at + SILENCE_MS);
    this.forget(key);
    const forget = setTimeout(() => this.told.delete(key), SILENCE_MS);
    forget.unref();
    this.told.set(key, { at: now, forget });
    this.tell(roomId, { type: 'typing', userId: actorId, typing, expiresAt: now + SILENCE_MS });
    return new Date(now + SILENCE_MS);
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

  private forget(key: string): void {
    clearTimeout(this.told.get(key)?.forget);
    this.told.delete(key);
  }

  private tell(roomId: string, signal: RoomSignal): void {
    this.deps.bus.publish(roomTopic(roomId), signal);
  }
}
