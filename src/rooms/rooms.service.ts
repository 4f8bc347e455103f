import { transaction, type Database, type Trx } from '../db/database.js';
import { newId, newTag } from '../db/ids.js';
import { throughOutage } from '../db/outage.js';
import type { KeysetPage, Slice } from '../db/keyset.js';
import type { MembershipRow, RoomRole, RoomRow, RoomVisibility } from '../db/tables.js';
import { badInput, conflict, forbidden, notFound } from '../errors.js';
import { wakeRoom, type Bus } from '../events/bus.js';
import { encodeEventCursor } from '../events/event-cursor.js';
import { appendEvent, takeSeq } from '../events/event-log.js';
import type { RoomFeeds } from '../events/room-feeds.js';
import { addJob } from '../jobs/jobs.queries.js';
import { nameKey } from '../names.js';
import { REMOVE_ROOM } from './room-removal.js';
import { markRoomDeleted } from './room-removal.queries.js';
import { writeInRoom, type RoomWrite } from './room-write.js';
import { watchRoom, type RoomWatch, type WatchOptions } from './room-watch.js';
import * as policy from './rooms.policy.js';
import * as queries from './rooms.queries.js';

export interface RoomsDeps {
  readonly db: Database;
  readonly bus: Bus;
  readonly feeds: RoomFeeds;
  /** Has the jobs looked for that were committed. */
  readonly wakeJobs: () => void;
}

/** What a write in a room answers: ids, and the place in the log of what was written. */
export interface MemberWritten {
  readonly roomId: string;
  readonly userId: string;
  readonly eventCursor: string;
}

/** The same with the membership as it was written. */
export interface MemberKept extends MemberWritten {
  readonly member: MembershipRow;
}

/** Rooms, their members and who may do what. `actorId` is the signed-in user. */
export class RoomsService {
  constructor(private readonly deps: RoomsDeps) {}

  /** Makes a room with its maker as owner. Throws CONFLICT for a slug that is taken. */
  async create(
    actorId: string,
    input: { slug: string; name: string; topic: string | null; visibility: RoomVisibility },
  ): Promise<MemberWritten> {
    const id = newId();
    /** What the attempt before answers if its commit happened. */
    let made: MemberWritten | undefined;
    return throughOutage(() =>
      transaction(this.deps.db, async (trx, afterCommit) => {
        afterCommit(() => {
          wakeRoom(this.deps.bus, id, 1);
        });
        // Waits for another transaction that takes the slug, the attempt before among them.
        if ((await queries.insertRoom(trx, { id, ...input, tag: newTag() })) === undefined) {
          if (made !== undefined && (await queries.roomIdBySlug(trx, input.slug)) === id) return made;
          throw conflict('input.slug', 'This slug is taken.');
        }
        const place = await takeSeq(trx, id, { members: 1 });
        await queries.insertMembership(trx, membership(id, actorId, 'OWNER', place));
        await appendEvent(trx, id, place, {
          kind: 'MEMBER_JOINED',
          actor_id: actorId,
          user_id: actorId,
          role: 'OWNER',
        });
        made = { roomId: id, userId: actorId, eventCursor: encodeEventCursor({ roomId: id, ...place }) };
        return made;
      }),
    );
  }

  /**
   * Joins a public room. Whoever joins an empty room becomes its owner, so that no room stays without one. Throws CONFLICT
   * for a member, FORBIDDEN for one who was removed.
   */
  async join(actorId: string, roomId: string): Promise<MemberKept> {
    return this.write(actorId, roomId, async (write) => {
      if (write.role !== undefined) throw conflict('input.roomId', 'You are already a member of this room.');
      if (await queries.wasRemoved(write.trx, roomId, actorId)) {
        throw forbidden('You were removed from this room: ask an owner or moderator to add you again.');
      }
      return addTo(write, actorId, actorId, write.room.member_count === 0 ? 'OWNER' : 'MEMBER');
    });
  }

  /** Throws CONFLICT for the last owner while others stay. */
  async leave(actorId: string, roomId: string): Promise<MemberWritten> {
    return this.write(actorId, roomId, async (write) => {
      if (write.role === undefined) throw forbidden('You are not a member of this room.');
      if (write.room.member_count > 1) await keepAnOwner(write.trx, roomId, write.role, 'input.roomId');
      return dropFrom(write, actorId, actorId);
    });
  }

  /** Throws FORBIDDEN, NOT_FOUND for an unknown user, CONFLICT for a member. Lifts an earlier removal. */
  async addMember(actorId: string, roomId: string, userId: string, role: RoomRole): Promise<MemberKept> {
    return this.write(actorId, roomId, async (write) => {
      if (!policy.canAdd(write.role, role))
        throw forbidden(
          'Only owners can add members with any role, and moderators can add plain members: ask one of them.',
        );
      if (!(await queries.userExists(write.trx, userId))) throw notFound('The user');
      if ((await queries.membershipOf(write.trx, roomId, userId)) !== undefined) {
        throw conflict('input.userId', 'This user is already a member of this room.');
      }
      await queries.forgetRemoval(write.trx, roomId, userId);
      return addTo(write, actorId, userId, role);
    });
  }

  /** Throws FORBIDDEN for all but owners, NOT_FOUND for one who is no member, CONFLICT for the last owner. */
  async changeRole(actorId: string, roomId: string, userId: string, role: RoomRole): Promise<MemberKept> {
    return this.write(actorId, roomId, async (write) => {
      if (!policy.canChangeRoles(write.role)) throw forbidden('Only owners can change roles.');
      const theirs = await queries.membershipOf(write.trx, roomId, userId);
      if (theirs === undefined) throw notFound('The member');
      if (theirs.role === role) {
        // Nothing changes, so nothing is written: the answer names the place where the log stands.
        const { last_seq: seq, last_tag: tag } = write.room;
        return { roomId, userId, member: theirs, eventCursor: encodeEventCursor({ roomId, seq, tag }) };
      }
      await keepAnOwner(write.trx, roomId, theirs.role, 'input.role');
      const place = await write.take();
      await queries.updateRole(write.trx, roomId, userId, role);
      const eventCursor = await write.append(place, {
        kind: 'MEMBER_ROLE_CHANGED',
        actor_id: actorId,
        user_id: userId,
        role,
      });
      return { roomId, userId, member: { ...theirs, role }, eventCursor };
    });
  }

  /** Removes another member, who may not rejoin by themselves. Throws FORBIDDEN, NOT_FOUND, BAD_USER_INPUT for oneself. */
  async removeMember(actorId: string, roomId: string, userId: string): Promise<MemberWritten> {
    return this.write(actorId, roomId, async (write) => {
      if (!policy.canModerate(write.role)) throw forbidden('Only owners and moderators can remove members.');
      if (userId === actorId) throw badInput('input.userId', 'You cannot remove yourself: use leaveRoom.');
      const theirs = await queries.membershipOf(write.trx, roomId, userId);
      if (theirs === undefined) throw notFound('The member');
      if (!policy.canRemove(write.role, theirs.role))
        throw forbidden('Moderators can only remove plain members: ask an owner.');
      await queries.recordRemoval(write.trx, roomId, userId);
      return dropFrom(write, actorId, userId);
    });
  }

  /**
   * Deletes a room: at once for everyone, whoever follows it among them; what it holds goes soon after, by a job, also through a crash. Throws NOT_FOUND,
   * FORBIDDEN for all but owners.
   */
  async delete(actorId: string, roomId: string): Promise<string> {
    await this.write(actorId, roomId, async (write) => {
      if (!policy.canDeleteRoom(write.role)) throw forbidden('Only owners can delete a room.');
      const place = await write.take();
      await markRoomDeleted(write.trx, roomId, place.at);
      await addJob(write.trx, REMOVE_ROOM, roomId, actorId);
      return write.append(place, { kind: 'ROOM_DELETED', actor_id: actorId });
    });
    this.deps.wakeJobs();
    return roomId;
  }

  /** The room's events for one of its members, from a place on. Throws NOT_FOUND, FORBIDDEN, BAD_CURSOR, CURSOR_EXPIRED. */
  watch(actorId: string, roomId: string, options: WatchOptions): Promise<RoomWatch> {
    return watchRoom(this.deps, actorId, roomId, options);
  }

  rooms(ids: readonly string[]): Promise<(RoomRow | undefined)[]> {
    return queries.roomsByIds(this.deps.db, ids);
  }

  roomsSeenBy(actorId: string, ids: readonly string[]): Promise<(queries.SeenRoom | undefined)[]> {
    return queries.roomsSeenBy(this.deps.db, actorId, ids);
  }

  roomIdBySlug(slug: string): Promise<string | undefined> {
    return queries.roomIdBySlug(this.deps.db, nameKey(slug));
  }

  memberships(pairs: readonly { roomId: string; userId: string }[]): Promise<(MembershipRow | undefined)[]> {
    return queries.memberships(this.deps.db, pairs);
  }

  roomsPage(actorId: string, filter: queries.RoomFilter, slice: Slice): Promise<KeysetPage<RoomRow>> {
    return queries.roomsPage(this.deps.db, actorId, filter, slice);
  }

  membersPage(roomId: string, slice: Slice): Promise<KeysetPage<MembershipRow>> {
    return queries.membersPage(this.deps.db, roomId, slice);
  }

  private write<T>(actorId: string, roomId: string, work: (write: RoomWrite) => Promise<T>): Promise<T> {
    return writeInRoom(this.deps, actorId, roomId, work);
  }
}

const membership = (
  roomId: string,
  userId: string,
  role: RoomRole,
  place: { seq: number; at: Date },
): MembershipRow => ({
  room_id: roomId,
  user_id: userId,
  role,
  joined_at: place.at,
  joined_seq: place.seq,
});

async function addTo(write: RoomWrite, actorId: string, userId: string, role: RoomRole): Promise<MemberKept> {
  const roomId = write.room.id;
  const place = await write.take({ members: 1 });
  const member = membership(roomId, userId, role, place);
  await queries.insertMembership(write.trx, member);
  const eventCursor = await write.append(place, {
    kind: 'MEMBER_JOINED',
    actor_id: actorId,
    user_id: userId,
    role,
  });
  return { roomId, userId, member, eventCursor };
}

async function dropFrom(write: RoomWrite, actorId: string, userId: string): Promise<MemberWritten> {
  const roomId = write.room.id;
  const place = await write.take({ members: -1 });
  await queries.deleteMembership(write.trx, roomId, userId);
  const eventCursor = await write.append(place, { kind: 'MEMBER_LEFT', actor_id: actorId, user_id: userId });
  return { roomId, userId, eventCursor };
}

async function keepAnOwner(trx: Trx, roomId: string, role: RoomRole, field: string): Promise<void> {
  if (role === 'OWNER' && (await queries.countOwners(trx, roomId)) === 1) {
    throw conflict(field, 'A room must keep an owner: make another member an owner first.');
  }
}
