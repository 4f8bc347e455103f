import { z } from 'zod';
import { builder } from '../graphql/builder.js';
import { decodeId, encodeId } from '../graphql/ids.js';
import { text } from '../graphql/text.js';
import {
  Room,
  RoomMember,
  roomOf,
  RoomRoleEnum,
  RoomVisibilityEnum,
  visibleRoom,
  writtenCursorDescription,
} from './rooms.schema.js';
import type { MemberKept, MemberWritten } from './rooms.service.js';

const slug = z
  .string()
  .regex(
    /^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$/,
    'A slug has 1 to 64 of a-z, 0-9 and -, and neither begins nor ends with -.',
  );
const name = text
  .max(100, 'A name has 100 characters at most.')
  .refine(
    (value) => value.trim() === value && value !== '',
    'A name has at least 1 character, and no space at either end.',
  );

const CreateRoomInput = builder.inputType('CreateRoomInput', {
  description: 'A new room.',
  fields: (t) => ({
    slug: t.string({
      required: true,
      validate: slug,
      description: 'Unique: 1 to 64 of `a-z`, `0-9` and `-`.',
    }),
    name: t.string({ required: true, validate: name, description: '1 to 100 characters.' }),
    topic: t.string({
      validate: text.max(500, 'A topic has 500 characters at most.').nullish(),
      description: 'What it is about, up to 500 characters.',
    }),
    visibility: t.field({ type: RoomVisibilityEnum, required: true, description: 'Who sees it.' }),
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
  description: 'Whom to add to which room.',
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
  description: 'Whose role to change.',
  fields: (t) => ({
    roomId: t.id({ required: true, description: 'Id of the room.' }),
    userId: t.id({ required: true, description: 'Id of the member.' }),
    role: t.field({ type: RoomRoleEnum, required: true, description: 'What they may do from now on.' }),
  }),
});
const RemoveMemberInput = builder.inputType('RemoveMemberInput', {
  description: 'Whom to remove.',
  fields: (t) => ({
    roomId: t.id({ required: true, description: 'Id of the room.' }),
    userId: t.id({ required: true, description: 'Id of the member.' }),
  }),
});

const payload = <T extends MemberWritten>(name: string, description: string) =>
  builder.objectRef<T>(name).implement({
    description,
    fields: (t) => ({
      eventCursor: t.string({
        description: writtenCursorDescription,
        resolve: (written) => written.eventCursor,
      }),
    }),
  });

const CreateRoomPayload = payload<MemberWritten>('CreateRoomPayload', 'The room that was made.');
const DeleteRoomPayload = builder.objectRef<{ roomId: string }>('DeleteRoomPayload').implement({
  description: 'The room that was deleted.',
  fields: (t) => ({
    deletedRoomId: t.id({ description: 'Its id.', resolve: ({ roomId }) => encodeId('Room', roomId) }),
  }),
});
const JoinRoomPayload = payload<MemberKept>('JoinRoomPayload', 'The room that was joined.');
const LeaveRoomPayload = payload<MemberWritten>('LeaveRoomPayload', 'The room that was left.');
const AddMemberPayload = payload<MemberKept>('AddMemberPayload', 'The member who was added.');
const ChangeMemberRolePayload = payload<MemberKept>(
  'ChangeMemberRolePayload',
  'The member whose role was changed.',
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
    description: 'The room; null once it can no longer be seen.',
    resolve: ({ roomId }, _args, ctx) => visibleRoom(ctx, roomId),
  }),
}));

builder.mutationFields((t) => ({
  createRoom: t.field({
    type: CreateRoomPayload,
    nullable: true,
    description: 'Makes a room with the viewer as its owner. CONFLICT where the slug is taken.',
    args: { input: t.arg({ type: CreateRoomInput, required: true, description: 'The room.' }) },
    resolve: (_root, { input }, ctx) =>
      ctx.wrote(ctx.services.rooms.create(ctx.signedIn().id, { ...input, topic: input.topic ?? null })),
  }),
  deleteRoom: t.field({
    type: DeleteRoomPayload,
    nullable: true,
    description:
      'Deletes a room with its messages and files, at once and for everyone. For owners. Live subscriptions on it end with NOT_FOUND, on every node; links to its files answer 410; its slug is free again.',
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
      'Joins a public room. FORBIDDEN for one who was removed. Whoever joins an empty room becomes its owner.',
    args: { input: t.arg({ type: JoinRoomInput, required: true, description: 'The room.' }) },
    resolve: (_root, { input }, ctx) =>
      ctx.wrote(ctx.services.rooms.join(ctx.signedIn().id, decodeId('Room', input.roomId, 'input.roomId'))),
  }),
  leaveRoom: t.field({
    type: LeaveRoomPayload,
    nullable: true,
    description: 'Leaves a room. CONFLICT for its last owner while others stay.',
    args: { input: t.arg({ type: LeaveRoomInput, required: true, description: 'The room.' }) },
    resolve: (_root, { input }, ctx) =>
      ctx.wrote(ctx.services.rooms.leave(ctx.signedIn().id, decodeId('Room', input.roomId, 'input.roomId'))),
  }),
  addMember: t.field({
    type: AddMemberPayload,
    nullable: true,
    description: 'Adds a user. Owners add any role, moderators plain members. Lifts an earlier removal.',
    args: { input: t.arg({ type: AddMemberInput, required: true, description: 'Who, where, as what.' }) },
    resolve: (_root, { input }, ctx) => {
      const { roomId, userId } = memberIds(input);
      return ctx.wrote(ctx.services.rooms.addMember(ctx.signedIn().id, roomId, userId, input.role));
    },
  }),
  changeMemberRole: t.field({
    type: ChangeMemberRolePayload,
    nullable: true,
    description: 'Changes what a member may do. For owners. CONFLICT for the last owner.',
    args: {
      input: t.arg({ type: ChangeMemberRoleInput, required: true, description: 'Who, where, to what.' }),
    },
    resolve: (_root, { input }, ctx) => {
      const { roomId, userId } = memberIds(input);
      return ctx.wrote(ctx.services.rooms.changeRole(ctx.signedIn().id, roomId, userId, input.role));
    },
  }),
  removeMember: t.field({
    type: RemoveMemberPayload,
    nullable: true,
    description:
      'Removes a member, who may not rejoin by themselves. Their live subscriptions on the room end at once with FORBIDDEN, on every node; they get no MemberLeft.',
    args: { input: t.arg({ type: RemoveMemberInput, required: true, description: 'Who, from where.' }) },
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
