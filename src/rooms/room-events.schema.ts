import { User, userOf } from '../accounts/accounts.schema.js';
import type { RoomEventRow } from '../db/tables.js';
import { encodeEventCursor } from '../events/event-cursor.js';
import { builder } from '../graphql/builder.js';
import { decodeId, encodeId } from '../graphql/ids.js';
import type { CheckpointEvent, RoomEvent } from './room-watch.js';
import { membershipOf, Room, RoomMember, RoomRoleEnum, roomOf } from './rooms.schema.js';

/** `MESSAGE_ADDED` is shown as `MessageAdded`, and so on. */
const typeName = (kind: RoomEvent['kind']): string =>
  kind.toLowerCase().replaceAll(/(?:^|_)(\w)/g, (_match, letter: string) => letter.toUpperCase());

const RoomEventInterface = builder.interfaceRef<RoomEvent>('RoomEvent').implement({
  description:
    'Something that happened in a room. What an event refers to is shown as it is when the event is sent, also in a replay; ids, user and role are as they were when it happened. Ignore types that you do not know, but keep their `cursor`.',
  resolveType: (event) => typeName(event.kind),
  fields: (t) => ({
    cursor: t.string({
      description:
        'Its place in the log: pass it as `after` to resume from here. Select it on the interface, so that you get it for unknown types too.',
      resolve: (event) => encodeEventCursor({ roomId: event.room_id, seq: event.seq, tag: event.tag }),
    }),
    at: t.field({ type: 'DateTime', description: 'When it happened.', resolve: (event) => event.at }),
    room: t.field({
      type: Room,
      description: 'Where it happened.',
      resolve: (event, _args, ctx) => roomOf(ctx, event.room_id),
    }),
    actor: t.field({
      type: User,
      nullable: true,
      description: 'Who did it; null if the server did.',
      resolve: (event, _args, ctx) => (event.actor_id === null ? null : userOf(ctx, event.actor_id)),
    }),
  }),
});

/** A kind of event without fields of its own; the slice that knows its subject adds them. */
export const roomEvent = (name: string, description: string) =>
  builder.objectRef<RoomEventRow>(name).implement({ description, interfaces: [RoomEventInterface] });

/** What a column of an event holds for its kind; one that is missing is a defect. */
export function subject<T>(value: T | null, event: RoomEventRow): T {
  if (value === null)
    throw new Error(`event ${event.room_id}/${String(event.seq)} of kind ${event.kind} lacks its subject`);
  return value;
}

builder.objectRef<CheckpointEvent>('Checkpoint').implement({
  description:
    'Nothing happened: this only gives a cursor to resume from. `roomEvents` sends one when everything that was missed has been sent (at once if nothing was), and then after each minute of silence.',
  interfaces: [RoomEventInterface],
});

const MemberJoined = roomEvent('MemberJoined', 'Someone joined or was added.');
const MemberRoleChanged = roomEvent('MemberRoleChanged', "A member's role was changed.");
const MemberLeft = roomEvent(
  'MemberLeft',
  'Someone left or was removed. They do not receive this event themselves.',
);

for (const ref of [MemberJoined, MemberRoleChanged, MemberLeft]) {
  builder.objectFields(ref, (t) => ({
    user: t.field({
      type: User,
      description: 'The member.',
      resolve: (event, _args, ctx) => userOf(ctx, subject(event.user_id, event)),
    }),
    memberId: t.id({
      description: 'Id of the membership.',
      resolve: (event) => encodeId('RoomMember', `${event.room_id}:${subject(event.user_id, event)}`),
    }),
  }));
}
for (const ref of [MemberJoined, MemberRoleChanged]) {
  builder.objectFields(ref, (t) => ({
    role: t.field({
      type: RoomRoleEnum,
      description: 'The role that they were given.',
      resolve: (event) => subject(event.role, event),
    }),
    member: t.field({
      type: RoomMember,
      nullable: true,
      description: 'The membership; null in a replay if they have left since.',
      resolve: async (event, _args, ctx) =>
        (await membershipOf(ctx, event.room_id, subject(event.user_id, event))) ?? null,
    }),
  }));
}

builder.subscriptionField('roomEvents', (t) =>
  t.field({
    type: RoomEventInterface,
    description:
      'Everything durable that happens in a room, in commit order. With `after`, first what was missed, then live events. With `last`, first the newest events that are still kept, then live events. With neither, live events only. With both, BAD_USER_INPUT.',
    args: {
      roomId: t.arg.id({ required: true, description: 'Id of a room that you are in.' }),
      after: t.arg.string({ description: 'An event cursor of this room: begin with what came after it.' }),
      last: t.arg.int({ description: 'Begin with this many of the newest events, 1 to 100.' }),
    },
    subscribe: (_root, { roomId, after, last }, ctx) =>
      ctx.services.rooms.watch(
        ctx.signedIn().id,
        decodeId('Room', roomId, 'roomId'),
        ctx.resumeAfter({
          after,
          last,
          checkpoints: true,
        }),
      ),
    resolve: (event) => event,
  }),
);
