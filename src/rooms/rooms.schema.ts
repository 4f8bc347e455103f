import { User, userOf } from '../accounts/accounts.schema.js';
import type { MembershipRow, RoomRow } from '../db/tables.js';
import { encodeEventCursor } from '../events/event-cursor.js';
import { builder } from '../graphql/builder.js';
import { connection, connectionComplexity, SCAN_COST, type ConnectionArgs } from '../graphql/connection.js';
import { defineLoader, type Context } from '../graphql/context.js';
import { decodeId } from '../graphql/ids.js';
import { needsViewer } from '../graphql/needs-viewer.js';
import { text } from '../graphql/text.js';
import { visibleNodes } from '../graphql/visible-nodes.js';
import { canRead, canSee } from './rooms.policy.js';
import { membersKeyset, roomsKeyset } from './rooms.queries.js';
import type { RoomsService } from './rooms.service.js';

declare module '../graphql/context.js' {
  interface Services {
    rooms: RoomsService;
  }
}

const loadRoom = defineLoader((ids: readonly string[], ctx) => ctx.services.rooms.rooms(ids));

/** Keys are `room id:user id`. */
const loadMembership = defineLoader((keys: readonly string[], ctx) =>
  ctx.services.rooms.memberships(
    keys.map((key) => {
      const [roomId = '', userId = ''] = key.split(':');
      return { roomId, userId };
    }),
  ),
);

/** Rooms with the viewer's memberships, by one statement: whoever looks at a room mostly goes on to what is in it. */
const loadSeenRoom = defineLoader(async (ids: readonly string[], ctx) => {
  const viewer = ctx.signedIn();
  const seen = await ctx.services.rooms.roomsSeenBy(viewer.id, ids);
  ids.forEach((id, i) => {
    loadRoom(ctx).prime(id, seen[i]?.room);
    loadMembership(ctx).prime(`${id}:${viewer.id}`, seen[i]?.membership);
  });
  return seen;
});

/** A room that something refers to. Whoever sees what refers to it sees the room. */
export async function roomOf(ctx: Context, id: string): Promise<RoomRow> {
  const room = await loadRoom(ctx).load(id);
  if (room === undefined) throw new Error(`room ${id} is missing`);
  return room;
}

export const membershipOf = (
  ctx: Context,
  roomId: string,
  userId: string,
): Promise<MembershipRow | undefined> => loadMembership(ctx).load(`${roomId}:${userId}`);

/** Whether the viewer may read what is in the room: its members, messages, files and events. */
export async function viewerReads(ctx: Context, roomId: string): Promise<boolean> {
  if (ctx.viewer === undefined) return false;
  return canRead((await membershipOf(ctx, roomId, ctx.viewer.id))?.role);
}

/** The room, or null if there is none or the viewer may not see it. */
export async function visibleRoom(ctx: Context, id: string): Promise<RoomRow | null> {
  if (ctx.viewer === undefined) return null;
  const seen = await loadSeenRoom(ctx).load(id);
  return seen !== undefined && canSee(seen.room, seen.membership?.role) ? seen.room : null;
}

/** Where the room's log stood when its row was read, which was before any page of the room was. */
export const eventCursorOf = (room: RoomRow): string =>
  encodeEventCursor({ roomId: room.id, seq: room.last_seq, tag: room.last_tag });

export const writtenCursorDescription =
  "Cursor of the event that this wrote to the room's log. A client recognizes its own change by it when the event arrives live.";

/** Of what writes nothing where nothing changes. */
export const writtenOrLastCursorDescription =
  "Cursor of the event that this wrote to the room's log, by which a client recognizes its own change. If nothing changed, nothing was written, and it is the end of the log, which may be someone else's event: do not drop an event because it has this cursor.";

export const listCursorDescription =
  'Where the log ended just before this page was read. Subscribe with `after:` the oldest one you hold of a list, and nothing is missed; what is already in the list may come again, so merge by id.';

export const RoomVisibilityEnum = builder.enumType('RoomVisibility', {
  description: 'Who can see a room.',
  values: {
    PUBLIC: { description: 'Anyone signed in can see it and join it; only members see what is in it.' },
    PRIVATE: { description: 'Only its members can see that it exists; owners and moderators add members.' },
  } as const,
});

export const RoomRoleEnum = builder.enumType('RoomRole', {
  description: 'What a member may do.',
  values: {
    OWNER: {
      description:
        'Everything that moderators may do; also add, change and remove members of any role, and delete the room.',
    },
    MODERATOR: {
      description:
        'Everything that members may do; also add and remove plain members, and delete messages and files of others.',
    },
    MEMBER: {
      description: 'Read, post and upload; edit their own messages, and delete their own messages and files.',
    },
  } as const,
});

export const Room = builder.objectRef<RoomRow>('Room');
export const RoomMember = builder.objectRef<MembershipRow>('RoomMember');

builder.node(Room, {
  description:
    'A place for messages and files. Anyone signed in can see a public room; only its members see what is in it.',
  id: { resolve: (room) => room.id, description: 'Global id, opaque and URL-safe.' },
  loadMany: visibleNodes('Room', (id, ctx) => visibleRoom(ctx, id)),
  fields: (t) => ({
    slug: t.exposeString('slug', { description: 'Unique short name for addresses: `a-z`, `0-9` and `-`.' }),
    name: t.exposeString('name', { description: 'The name to display.' }),
    topic: t.exposeString('topic', { nullable: true, description: 'What it is about.' }),
    visibility: t.expose('visibility', { type: RoomVisibilityEnum, description: 'Who can see it.' }),
    createdAt: t.field({
      type: 'DateTime',
      description: 'When the room was created.',
      resolve: (room) => room.created_at,
    }),
    eventCursor: t.string({
      description:
        "Where the room's log ends now. It changes all the time, so do not combine a cached one with a list: each list has its own.",
      resolve: eventCursorOf,
    }),
    viewerMembership: t.field({
      type: RoomMember,
      nullable: true,
      extensions: needsViewer,
      description: "The viewer's own membership; null if the viewer is not a member.",
      resolve: async (room, _args, ctx) =>
        ctx.viewer === undefined ? null : ((await membershipOf(ctx, room.id, ctx.viewer.id)) ?? null),
    }),
    members: t.connection(
      {
        type: RoomMember,
        nullable: true,
        extensions: needsViewer,
        description:
          'The members of the room, in the order in which they joined. Null if the viewer is not a member.',
        complexity: (args) => connectionComplexity(args),
        resolve: async (room, args: ConnectionArgs, ctx) => {
          if (!(await viewerReads(ctx, room.id))) return null;
          const page = await connection(
            ctx.cursors,
            `members ${room.id}`,
            args,
            membersKeyset.keyOf,
            (slice) => ctx.services.rooms.membersPage(room.id, slice),
          );
          return { ...page, room };
        },
      },
      {
        name: 'RoomMemberConnection',
        description: "A page of a room's members.",
        fields: (c) => ({
          totalCount: c.int({
            description: 'All members of the room.',
            resolve: ({ room }) => room.member_count,
          }),
          eventCursor: c.string({
            description: listCursorDescription,
            resolve: ({ room }) => eventCursorOf(room),
          }),
        }),
      },
      { name: 'RoomMemberEdge', description: 'A member in a page.' },
    ),
  }),
});

builder.node(RoomMember, {
  description: "A user's membership of a room. Its id stays the same when the user leaves and joins again.",
  id: {
    resolve: (member) => `${member.room_id}:${member.user_id}`,
    description: 'Global id, opaque and URL-safe.',
  },
  loadMany: visibleNodes('RoomMember', async (id, ctx) => {
    const [roomId = '', userId = ''] = id.split(':');
    return (await viewerReads(ctx, roomId)) ? membershipOf(ctx, roomId, userId) : null;
  }),
  fields: (t) => ({
    room: t.field({
      type: Room,
      description: 'The room.',
      resolve: (member, _args, ctx) => roomOf(ctx, member.room_id),
    }),
    user: t.field({
      type: User,
      description: 'The user who is a member.',
      resolve: (member, _args, ctx) => userOf(ctx, member.user_id),
    }),
    role: t.expose('role', { type: RoomRoleEnum, description: 'What they may do.' }),
    joinedAt: t.field({
      type: 'DateTime',
      description: 'When they joined.',
      resolve: (member) => member.joined_at,
    }),
  }),
});

const RoomFilterInput = builder.inputType('RoomFilter', {
  description: 'Rooms must match every condition that is given.',
  fields: (t) => ({
    joined: t.boolean({
      description:
        'true: rooms that the viewer is a member of; false: public rooms that the viewer is not a member of.',
    }),
    visibility: t.field({ type: RoomVisibilityEnum, description: 'Only rooms with this visibility.' }),
    nameContains: t.string({
      validate: text.max(100, '`nameContains` can have at most 100 characters.').nullish(),
      description:
        'Part of the name, in any case, by full case folding (`ß` is `ss`, `ς` is `σ`). Reads every room that matches the rest of the filter.',
    }),
  }),
});

builder.queryFields((t) => ({
  room: t.field({
    type: Room,
    nullable: true,
    description: 'The room with this id; null if there is none or the viewer may not see it.',
    args: { id: t.arg.id({ required: true, description: 'Id of a Room.' }) },
    resolve: (_root, { id }, ctx) => visibleRoom(ctx, decodeId('Room', id, 'id')),
  }),
  roomBySlug: t.field({
    type: Room,
    nullable: true,
    description: 'The room with this slug; null if there is none or the viewer may not see it.',
    args: { slug: t.arg.string({ required: true, validate: text, description: 'The slug, in any case.' }) },
    resolve: async (_root, { slug }, ctx) => {
      if (ctx.viewer === undefined) return null;
      const id = await ctx.services.rooms.roomIdBySlug(slug);
      return id === undefined ? null : visibleRoom(ctx, id);
    },
  }),
  rooms: t.connection(
    {
      type: Room,
      nullable: true,
      description:
        'Public rooms and those that the viewer is a member of, ordered by slug. UNAUTHENTICATED when signed out, unlike `files` and `viewer`, which are null.',
      complexity: ({ filter, ...args }) =>
        connectionComplexity(args, filter?.nameContains == null ? 0 : SCAN_COST.searched),
      args: { filter: t.arg({ type: RoomFilterInput, description: 'Only rooms that match this filter.' }) },
      resolve: (_root, { filter, ...args }, ctx) => {
        const viewer = ctx.signedIn();
        const { joined, visibility, nameContains } = filter ?? {};
        const list = `rooms ${viewer.id} ${JSON.stringify([joined, visibility, nameContains])}`;
        return connection(ctx.cursors, list, args, roomsKeyset.keyOf, (slice) =>
          ctx.services.rooms.roomsPage(viewer.id, filter ?? {}, slice),
        );
      },
    },
    { name: 'RoomConnection', description: 'A page of rooms.' },
    { name: 'RoomEdge', description: 'A room in a page.' },
  ),
}));
