import { z } from 'zod';
import { builder } from '../graphql/builder.js';
import { decodeId, encodeId } from '../graphql/ids.js';
import { composedText, shownName } from '../graphql/text.js';
import {
  Room,
  RoomMember,
  roomOf,
  RoomRoleEnum,
  RoomVisibilityEnum,
  visibleRoom,
  writtenCursorDescription,
  writtenOrLastCursorDescription,
} from './rooms.schema.js';
import type { MemberKept, MemberWritten } from './rooms.service.js';

const slug = z
  .string()
  .regex(
    /^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$/,
    'A slug must have 1 to 64 characters, only a-z, 0-9 and -, and cannot begin or end with -.',
  );

const CreateRoomInput = builder.inputType('CreateRoomInput', {
  description: 'A new room.',
  fields: (t) => ({
    slug: t.string({
      required: true,
      validate: slug,
      description: 'Unique short name: 1 to 64 characters, only `a-z`, `0-9` and `-`.',
    }),
    name: t.string({
      required: true,
      validate: shownName,
      description:
        '1 to 100 characters. It is kept in NFC and on one line, without characters that hide or reorder text.',
    }),
    topic: t.string({
      validate: composedText(500, 'A topic can have at most 500 characters.').nullish(),
      description: 'What it is about, up to 500 characters. It is kept in NFC.',
    }),
    visibility: t.field({ type: RoomVisibilityEnum, required: true, description: 'Who can see it.' }),
  }),
});

const JoinRoomInput = builder.inputType('JoinRoomInput', {
  description: 'The room to join.',
  fields: (t) => ({ roomId: t.id({ required: true, description: 'Id of a public room.' }) }),
});
const LeaveRoomInput = builder.inputType('LeaveRoomInput', {
  description: 'The room to leave.',
  fields: (t) => ({ roomId: t.id({ required: true, description: 'Id of a room that you are in.' }) }),
});
const DeleteRoomInput = builder.inputType('DeleteRoomInput', {
  description: 'The room to delete.',
  fields: (t) => ({ roomId: t.id({ required: true, description: 'Id of a room that you own.' }) }),
});
const AddMemberInput = builder.inputType('AddMemberInput', {
  description: 'The user to add, and the room.',
  fields: (t) => ({
    roomId: t.id({ required: true, description: 'Id of the room.' }),
    userId: t.id({ required: true, description: 'Id of the user.' }),
    role: t.field({
      type: RoomRoleEnum,
      required: true,
      defaultValue: 'MEMBER',
      description: 'What they may do.',
    }),
  }),
});
const ChangeMemberRoleInput = builder.inputType('ChangeMemberRoleInput', {
  description: 'The member whose role to change, and the new role.',
  fields: (t) => ({
    roomId: t.id({ required: true, description: 'Id of the room.' }),
    userId: t.id({ required: true, description: 'User id of the member.' }),
    role: t.field({ type: RoomRoleEnum, required: true, description: 'What they may do from now on.' }),
  }),
});
const RemoveMemberInput = builder.inputType('RemoveMemberInput', {
  description: 'The member to remove, and the room.',
  fields: (t) => ({
    roomId: t.id({ required: true, description: 'Id of the room.' }),
    userId: t.id({ required: true, description: 'User id of the member.' }),
  }),
});

const payload = <T extends MemberWritten>(
  name: string,
  description: string,
  cursorDescription = writtenCursorDescription,
) =>
  builder.objectRef<T>(name).implement({
    description,
    fields: (t) => ({
      eventCursor: t.string({
        description: cursorDescription,
        resolve: (written) => written.eventCursor,
      }),
    }),
  });

const CreateRoomPayload = payload<MemberWritten>('CreateRoomPayload', 'The room that was created.');
const DeleteRoomPayload = builder.objectRef<{ roomId: string }>('DeleteRoomPayload').implement({
  description: 'The room that was deleted.',
  fields: (t) => ({
    deletedRoomId: t.id({
      description: 'Id of the deleted room.',
      resolve: ({ roomId }) => encodeId('Room', roomId),
    }),
  }),
});
const JoinRoomPayload = payload<MemberKept>('JoinRoomPayload', 'The room that was joined.');
const LeaveRoomPayload = payload<MemberWritten>('LeaveRoomPayload', 'The room that was left.');
const AddMemberPayload = payload<MemberKept>('AddMemberPayload', 'The member who was added.');
const ChangeMemberRolePayload = payload<MemberKept>(
  'ChangeMemberRolePayload',
  'The member whose role was changed.',
  writtenOrLastCursorDescription,
);
const RemoveMemberPayload = payload<MemberWritten>('RemoveMemberPayload', 'The member who was removed.');

for (const ref of [CreateRoomPayload, JoinRoomPayload, AddMemberPayload, RemoveMemberPayload]) {
  builder.objectField(ref, 'room', (t) =>
    t.field({
      type: Room,
      description: 'The room.',
      resolve: (written, _args, ctx) => roomOf(ctx, written.roomId),
    }),
  );
}
for (const ref of [JoinRoomPayload, AddMemberPayload, ChangeMemberRolePayload]) {
  builder.objectField(ref, 'member', (t) =>
    t.field({ type: RoomMember, description: 'The membership.', resolve: (written) => written.member }),
  );
}
for (const ref of [LeaveRoomPayload, RemoveMemberPayload]) {
  builder.objectField(ref, 'memberId', (t) =>
    t.id({
      description: 'Id of the membership that ended.',
      resolve: ({ roomId, userId }) => encodeId('RoomMember', `${roomId}:${userId}`),
    }),
  );
}
builder.objectFields(LeaveRoomPayload, (t) => ({
  roomId: t.id({ description: 'Id of the room.', resolve: ({ roomId }) => encodeId('Room', roomId) }),
  room: t.field({
    type: Room,
    nullable: true,
    description: 'The room; null if the viewer can no longer see it.',
    resolve: ({ roomId }, _args, ctx) => visibleRoom(ctx, roomId),
  }),
}));

builder.mutationFields((t) => ({
  createRoom: t.field({
    type: CreateRoomPayload,
    nullable: true,
    description:
      'Creates a room with the viewer as its owner. CONFLICT if the slug is taken, also by a room that the viewer cannot see.',
    args: { input: t.arg({ type: CreateRoomInput, required: true, description: 'The room.' }) },
    resolve: (_root, { input }, ctx) => {
      const viewer = ctx.signedIn();
      ctx.count('rooms');
      return ctx.wrote(ctx.services.rooms.create(viewer.id, { ...input, topic: input.topic ?? null }));
    },
  }),
  deleteRoom: t.field({
    type: DeleteRoomPayload,
    nullable: true,
    description:
      'Deletes a room with its messages and files, at once and for everyone. Only owners can. Live subscriptions to it end with NOT_FOUND, on every process; links to its files answer 410; its slug is free again.',
    args: { input: t.arg({ type: DeleteRoomInput, required: true, description: 'The room.' }) },
    resolve: async (_root, { input }, ctx) => ({
      roomId: await ctx.wrote(
        ctx.services.rooms.delete(ctx.signedIn().id, decodeId('Room', input.roomId, 'input.roomId')),
      ),
    }),
  }),
  joinRoom: t.field({
    type: JoinRoomPayload,
    nullable: true,
    description:
      'Joins a public room. FORBIDDEN if the viewer was removed from it. Whoever joins an empty room becomes its owner.',
    args: { input: t.arg({ type: JoinRoomInput, required: true, description: 'The room.' }) },
    resolve: (_root, { input }, ctx) => {
      const viewer = ctx.signedIn();
      const roomId = decodeId('Room', input.roomId, 'input.roomId');
      ctx.count('joins');
      return ctx.wrote(ctx.services.rooms.join(viewer.id, roomId));
    },
  }),
  leaveRoom: t.field({
    type: LeaveRoomPayload,
    nullable: true,
    description: 'Leaves a room. CONFLICT for its last owner while there are other members.',
    args: { input: t.arg({ type: LeaveRoomInput, required: true, description: 'The room.' }) },
    resolve: (_root, { input }, ctx) =>
      ctx.wrote(ctx.services.rooms.leave(ctx.signedIn().id, decodeId('Room', input.roomId, 'input.roomId'))),
  }),
  addMember: t.field({
    type: AddMemberPayload,
    nullable: true,
    description:
      'Adds a user to a room. Owners can add members with any role, moderators only plain members. The user is not asked first, and can leave at any time. A user who was removed earlier can be added again this way.',
    args: {
      input: t.arg({ type: AddMemberInput, required: true, description: 'The user, the room and the role.' }),
    },
    resolve: (_root, { input }, ctx) => {
      const { roomId, userId } = memberIds(input);
      const viewer = ctx.signedIn();
      ctx.count('joins');
      return ctx.wrote(ctx.services.rooms.addMember(viewer.id, roomId, userId, input.role));
    },
  }),
  changeMemberRole: t.field({
    type: ChangeMemberRolePayload,
    nullable: true,
    description:
      'Changes the role of a member. Only owners can. CONFLICT for the last owner. Giving a member the role that they have already changes nothing.',
    args: {
      input: t.arg({
        type: ChangeMemberRoleInput,
        required: true,
        description: 'The member, the room and the new role.',
      }),
    },
    resolve: (_root, { input }, ctx) => {
      const { roomId, userId } = memberIds(input);
      const viewer = ctx.signedIn();
      ctx.count('joins');
      return ctx.wrote(ctx.services.rooms.changeRole(viewer.id, roomId, userId, input.role));
    },
  }),
  removeMember: t.field({
    type: RemoveMemberPayload,
    nullable: true,
    description:
      'Removes a member, who cannot rejoin until someone adds them again. Their live subscriptions to the room end at once with FORBIDDEN, on every process; they receive no MemberLeft.',
    args: {
      input: t.arg({ type: RemoveMemberInput, required: true, description: 'The member and the room.' }),
    },
    resolve: (_root, { input }, ctx) => {
      const { roomId, userId } = memberIds(input);
      return ctx.wrote(ctx.services.rooms.removeMember(ctx.signedIn().id, roomId, userId));
    },
  }),
}));

const memberIds = (input: { roomId: string; userId: string }) => ({
  roomId: decodeId('Room', input.roomId, 'input.roomId'),
  userId: decodeId('User', input.userId, 'input.userId'),
});
