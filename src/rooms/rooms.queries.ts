import { sql } from 'kysely';
import type { PublicUser } from '../accounts/accounts.queries.js';
import type { Database, Trx } from '../db/database.js';
import { mergePages, rangesOf, readPage, type Keyset, type KeysetPage, type Slice } from '../db/keyset.js';
import { quickRead } from '../db/statement.js';
import type { MembershipRow, RoomRole, RoomRow, RoomVisibility, Tables } from '../db/tables.js';
import { nameKey } from '../names.js';

/** Locks the room's row until `trx` ends: writers of one room queue here. What was read before it may have changed meanwhile. */
export async function lockRoom(trx: Trx, roomId: string): Promise<void> {
  await trx.selectFrom('rooms').select('id').where('id', '=', roomId).forNoKeyUpdate().execute();
}

/** What a write in a room has to know of it. */
export type RoomState = Pick<RoomRow, 'id' | 'visibility' | 'last_seq' | 'last_tag' | 'member_count'>;

/** A room, and those users who are its members, with their roles. */
export interface RoomWithRoles {
  readonly room: RoomState;
  readonly roles: ReadonlyMap<string, RoomRole>;
  readonly users: ReadonlyMap<string, PublicUser>;
}

type RoleRow = RoomState &
  Record<'user_id' | 'handle' | 'name', string | null> & {
    readonly role: RoomRole | null;
    readonly created_at: Date | null;
  };

const readRoomWithRoles = quickRead<RoleRow>(
  'room_with_roles',
  `select r.id, r.visibility, r.last_seq, r.last_tag, r.member_count,
     m.user_id, m.role, u.handle, u.name, u.created_at
   from rooms r left join (memberships m join users u on u.id = m.user_id)
     on m.room_id = r.id and m.user_id = any($2::uuid[])
   where r.id = $1 and r.deleted_at is null`,
);

/** The room with the roles of some users, all as of one moment; undefined where there is none. */
export async function roomWithRoles(
  db: Database | Trx,
  roomId: string,
  userIds: readonly string[],
): Promise<RoomWithRoles | undefined> {
  const rows = await readRoomWithRoles(db, [roomId, userIds]);
  const [room] = rows;
  if (room === undefined) return undefined;
  const roles = new Map<string, RoomRole>();
  const users = new Map<string, PublicUser>();
  for (const { user_id: id, role, handle, name, created_at } of rows) {
    // All of them are there, or none is.
    if (id === null || role === null || handle === null || name === null || created_at === null) continue;
    roles.set(id, role);
    users.set(id, { id, handle, name, created_at });
  }
  return { room, roles, users };
}

/** Those of a deleted room stay until the job comes to them (room-removal.ts), and count no more. */
const ofRoomsThatAre = (db: Database | Trx) =>
  db
    .selectFrom('memberships')
    .innerJoin('rooms', 'rooms.id', 'memberships.room_id')
    .where('rooms.deleted_at', 'is', null)
    .selectAll('memberships');

export async function membershipOf(
  db: Database | Trx,
  roomId: string,
  userId: string,
): Promise<MembershipRow | undefined> {
  return ofRoomsThatAre(db)
    .where('memberships.room_id', '=', roomId)
    .where('memberships.user_id', '=', userId)
    .executeTakeFirst();
}

/** Answers in the order of `ids`. */
export async function roomsByIds(
  db: Database | Trx,
  ids: readonly string[],
): Promise<(RoomRow | undefined)[]> {
  const rows = await db
    .selectFrom('rooms')
    .selectAll()
    .where('id', 'in', ids)
    .where('deleted_at', 'is', null)
    .execute();
  const byId = new Map(rows.map((row) => [row.id, row]));
  return ids.map((id) => byId.get(id));
}

export interface SeenRoom {
  readonly room: RoomRow;
  /** The user's own. */
  readonly membership: MembershipRow | undefined;
}

type SeenRow = RoomRow & { [Column in 'role' | 'joined_at' | 'joined_seq']: MembershipRow[Column] | null };

const readRoomsSeen = quickRead<SeenRow>(
  'rooms_seen',
  `select r.id, r.slug, r.name, r.topic, r.visibility, r.created_at, r.tag, r.last_seq, r.last_tag,
     r.member_count, r.message_count, r.file_count, r.used_bytes, r.deleted_at, m.role, m.joined_at, m.joined_seq
   from rooms r left join memberships m on m.room_id = r.id and m.user_id = $1
   where r.id = any($2::uuid[]) and r.deleted_at is null`,
);

/** Rooms as one user sees them, in the order of `ids`. */
export async function roomsSeenBy(
  db: Database,
  userId: string,
  ids: readonly string[],
): Promise<(SeenRoom | undefined)[]> {
  const rows = await readRoomsSeen(db, [userId, ids]);
  const byId = new Map(
    rows.map((room): [string, SeenRoom] => {
      const { id: room_id, role, joined_at, joined_seq } = room;
      const isMember = role !== null && joined_at !== null && joined_seq !== null;
      const membership = isMember ? { room_id, user_id: userId, role, joined_at, joined_seq } : undefined;
      return [room_id, { room, membership }];
    }),
  );
  return ids.map((id) => byId.get(id));
}

export async function roomIdBySlug(db: Database | Trx, slug: string): Promise<string | undefined> {
  const row = await db.selectFrom('rooms').select('id').where('slug', '=', slug).executeTakeFirst();
  return row?.id;
}

/** Answers in the order of `pairs`. */
export async function memberships(
  db: Database,
  pairs: readonly { roomId: string; userId: string }[],
): Promise<(MembershipRow | undefined)[]> {
  const rows = await ofRoomsThatAre(db)
    .where((eb) =>
      eb(
        eb.refTuple('memberships.room_id', 'memberships.user_id'),
        'in',
        pairs.map(({ roomId, userId }) => eb.tuple(roomId, userId)),
      ),
    )
    .execute();
  const byPair = new Map(rows.map((row) => [`${row.room_id}:${row.user_id}`, row]));
  return pairs.map(({ roomId, userId }) => byPair.get(`${roomId}:${userId}`));
}

export const membersKeyset: Keyset<Tables, 'memberships', MembershipRow> = {
  columns: ['memberships.joined_seq'],
  direction: 'asc',
  keyOf: (row) => [row.joined_seq],
};

export async function membersPage(
  db: Database,
  roomId: string,
  slice: Slice,
): Promise<KeysetPage<MembershipRow>> {
  const all = db.selectFrom('memberships').selectAll().where('room_id', '=', roomId);
  return readPage(rangesOf(all, membersKeyset), membersKeyset, slice);
}

export interface RoomFilter {
  readonly joined?: boolean | null | undefined;
  readonly visibility?: RoomVisibility | null | undefined;
  readonly nameContains?: string | null | undefined;
}

export const roomsKeyset: Keyset<Tables, 'rooms', RoomRow> = {
  columns: ['rooms.slug'],
  direction: 'asc',
  keyOf: (row) => [row.slug],
};

/** Public rooms and those that the user is in, by slug. */
export async function roomsPage(
  db: Database,
  userId: string,
  { joined, visibility, nameContains }: RoomFilter,
  slice: Slice,
): Promise<KeysetPage<RoomRow>> {
  const mine = sql<boolean>`rooms.id in (select m.room_id from memberships m where m.user_id = ${userId})`;
  const theirs = sql<boolean>`not exists (select from memberships m where m.room_id = rooms.id and m.user_id = ${userId})`;
  let all = db.selectFrom('rooms').selectAll('rooms').where('rooms.deleted_at', 'is', null);
  const read = (rooms: typeof all) => readPage(rangesOf(rooms, roomsKeyset), roomsKeyset, slice);
  // Of a room that a program before this column has made, some minutes ago at most, lower case will do.
  const key = sql<string>`coalesce(rooms.name_key, lower(rooms.name))`;
  if (nameContains != null) all = all.where(key, 'like', containing(nameKey(nameContains)));
  if (visibility != null) all = all.where('visibility', '=', visibility);
  if (joined === true) return read(all.where(mine));

  let open = all.where('visibility', '=', 'PUBLIC');
  if (joined === false) open = open.where(theirs);
  if (joined === false || visibility === 'PUBLIC') return read(open);

  // Each by its own index, or all the private rooms of others would be walked over to find the few that are the user's.
  const closed = all.where('visibility', '=', 'PRIVATE').where(mine);
  if (visibility === 'PRIVATE') return read(closed);
  const [publicRooms, privateRooms] = await Promise.all([read(open), read(closed)]);
  return mergePages(publicRooms, privateRooms, bySlug, slice);
}

/** Slugs are ASCII and collate "C". */
const bySlug = (a: RoomRow, b: RoomRow): number => (a.slug < b.slug ? -1 : 1);

const containing = (text: string): string => `%${text.replaceAll(/[\\%_]/g, String.raw`\$&`)}%`;

/** Undefined, with nothing written, when the slug is taken. */
export async function insertRoom(
  trx: Trx,
  room: Pick<RoomRow, 'id' | 'slug' | 'name' | 'topic' | 'visibility' | 'tag'>,
): Promise<string | undefined> {
  const row = await trx
    .insertInto('rooms')
    .values({ ...room, name_key: nameKey(room.name), last_tag: room.tag })
    .onConflict((oc) => oc.doNothing())
    .returning('id')
    .executeTakeFirst();
  return row?.id;
}

export async function insertMembership(trx: Trx, membership: MembershipRow): Promise<void> {
  await trx.insertInto('memberships').values(membership).execute();
}

export async function updateRole(trx: Trx, roomId: string, userId: string, role: RoomRole): Promise<void> {
  await trx
    .updateTable('memberships')
    .set({ role })
    .where('room_id', '=', roomId)
    .where('user_id', '=', userId)
    .execute();
}

export async function deleteMembership(trx: Trx, roomId: string, userId: string): Promise<void> {
  await trx.deleteFrom('memberships').where('room_id', '=', roomId).where('user_id', '=', userId).execute();
}

export async function countOwners(trx: Trx, roomId: string): Promise<number> {
  const { count } = await trx
    .selectFrom('memberships')
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .where('room_id', '=', roomId)
    .where('role', '=', 'OWNER')
    .executeTakeFirstOrThrow();
  return count;
}

export async function wasRemoved(trx: Trx, roomId: string, userId: string): Promise<boolean> {
  const row = await trx
    .selectFrom('removals')
    .select('user_id')
    .where('room_id', '=', roomId)
    .where('user_id', '=', userId)
    .executeTakeFirst();
  return row !== undefined;
}

export async function recordRemoval(trx: Trx, roomId: string, userId: string): Promise<void> {
  await trx
    .insertInto('removals')
    .values({ room_id: roomId, user_id: userId })
    .onConflict((oc) => oc.doNothing())
    .execute();
}

export async function forgetRemoval(trx: Trx, roomId: string, userId: string): Promise<void> {
  await trx.deleteFrom('removals').where('room_id', '=', roomId).where('user_id', '=', userId).execute();
}

export async function userExists(db: Database | Trx, userId: string): Promise<boolean> {
  const row = await db.selectFrom('users').select('id').where('id', '=', userId).executeTakeFirst();
  return row !== undefined;
}
