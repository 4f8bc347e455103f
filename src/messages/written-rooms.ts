import { LRUCache } from 'lru-cache';
import type { PublicUser } from '../accounts/accounts.queries.js';
import type { RoomRole } from '../db/tables.js';
import type { LogHead } from '../events/event-log.js';
import { canWrite } from '../rooms/rooms.policy.js';
import type { RoomState, RoomWithRoles } from '../rooms/rooms.queries.js';
import type { Post } from './post-decisions.js';

/** Rooms that are remembered. */
const ROOMS = 1000;
/** Writers of one room that are remembered. */
const WRITERS = 256;
/** How long, in milliseconds: what somebody has changed by SQL, with no event of it, counts after that. */
const FRESH_MS = 5000;

/** A room as this process left it. */
interface Left {
  room: RoomState;
  readonly roles: Map<string, RoomRole>;
  readonly users: Map<string, PublicUser>;
  /** When the oldest of it was read, by `performance.now`. */
  readonly since: number;
  /** Whether nobody else wrote in it between this process's last two posts, so that it is likely that nobody does now. */
  isOurs: boolean;
}

/**
 * What decides about a post, for rooms that no other process writes in: it changes by an event of the room's log alone, so it is as it
 * was for as long as the log ends with what this process has posted. What is written rests on that end, so a room that has
 * moved on costs a statement, and never a wrong decision.
 */
export class WrittenRooms {
  private readonly rooms = new LRUCache<string, Left>({ max: ROOMS });

  /**
   * The room, and the roles of those who post; undefined where something has to be read: the role of one of them, a file, a key, a message that
   * is answered.
   */
  of(roomId: string, posts: readonly Post[]): RoomWithRoles | undefined {
    const left = this.rooms.get(roomId);
    if (left === undefined || !left.isOurs || !isFresh(left)) return undefined;
    const roles = new Map<string, RoomRole>();
    const users = new Map<string, PublicUser>();
    for (const { actorId, input } of posts) {
      const [role, user] = [left.roles.get(actorId), left.users.get(actorId)];
      if (!isPlain(input) || role === undefined || user === undefined || !canWrite(role)) return undefined;
      roles.set(actorId, role);
      users.set(actorId, user);
    }
    return { room: left.room, roles, users };
  }

  /**
   * This process has posted right after the head that `found` has, up to `last`, and it is committed. `readAt`: when `found` was read, by
   * `performance.now`; undefined where it came from here, and so is no younger than it was.
   */
  wrote(found: RoomWithRoles, last: LogHead, readAt: number | undefined): void {
    const { id, last_seq: seq, last_tag: tag } = found.room;
    const room = { ...found.room, last_seq: last.seq, last_tag: last.tag };
    const left = this.rooms.get(id);
    const isOurs = left?.room.last_seq === seq && left.room.last_tag === tag;
    if (
      left !== undefined &&
      isOurs &&
      (readAt === undefined || (isFresh(left) && left.roles.size < WRITERS))
    ) {
      if (readAt !== undefined) {
        for (const [userId, role] of found.roles) left.roles.set(userId, role);
        for (const [userId, user] of found.users) left.users.set(userId, user);
      }
      left.room = room;
      left.isOurs = true;
    } else if (readAt !== undefined) {
      const [roles, users] = [new Map(found.roles), new Map(found.users)];
      this.rooms.set(id, { room, roles, users, since: readAt, isOurs });
    }
  }

  /** Somebody else writes in it, or may have. */
  forget(roomId: string): void {
    this.rooms.delete(roomId);
  }
}

const isFresh = ({ since }: Left): boolean => performance.now() - since < FRESH_MS;

const isPlain = ({ replyToId, fileIds, idempotencyKey }: Post['input']): boolean =>
  replyToId === null && fileIds.length === 0 && idempotencyKey === null;
