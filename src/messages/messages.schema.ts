import { z } from 'zod';
import { User, userOf } from '../accounts/accounts.schema.js';
import type { MessageRow } from '../db/tables.js';
import type { KnownMessage } from '../events/feed-subscription.js';
import { File, presentFiles } from '../files/files.schema.js';
import { builder } from '../graphql/builder.js';
import { connection, connectionComplexity, type ConnectionArgs } from '../graphql/connection.js';
import { defineLoader, type Context } from '../graphql/context.js';
import { decodeId } from '../graphql/ids.js';
import { text } from '../graphql/text.js';
import { idempotencyKey } from '../graphql/idempotency-key.js';
import { needsViewer } from '../graphql/needs-viewer.js';
import { visibleNodes } from '../graphql/visible-nodes.js';
import { roomEvent, subject } from '../rooms/room-events.schema.js';
import {
  eventCursorOf,
  listCursorDescription,
  Room,
  roomOf,
  viewerReads,
  writtenCursorDescription,
  writtenOrLastCursorDescription,
} from '../rooms/rooms.schema.js';
import { timelineKeyset, type TimelineRow } from './messages.queries.js';
import { MAX_BODY, MAX_FILES, type MessagesService } from './messages.service.js';
import type { Posted } from './post-batch.js';

declare module '../graphql/context.js' {
  interface Services {
    messages: MessagesService;
  }
}

const loadMessage = defineLoader((ids: readonly string[], ctx) => ctx.services.messages.messages(ids));
const loadFileIds = defineLoader((ids: readonly string[], ctx) => ctx.services.messages.fileIds(ids));

/** Remembers for this context what is known of messages that were just written, so that nobody asks for them. */
export function rememberMessages(ctx: Context, messages: readonly KnownMessage[]): void {
  for (const { row, fileIds } of messages) {
    loadMessage(ctx).prime(row.id, row);
    loadFileIds(ctx).prime(row.id, [...fileIds]);
  }
}

/** A message that something refers to. Whoever sees what refers to it sees the message. */
async function messageOf(ctx: Context, id: string): Promise<MessageRow> {
  const message = await loadMessage(ctx).load(id);
  if (message === undefined) throw new Error(`message ${id} is missing`);
  return message;
}

/** A page of the timeline brings the authors along. */
const Message = builder.objectRef<MessageRow & Partial<Pick<TimelineRow, 'author'>>>('Message');

builder.node(Message, {
  description: 'What someone said in a room.',
  id: { resolve: (message) => message.id, description: 'Global id, opaque and URL-safe.' },
  loadMany: visibleNodes('Message', async (id, ctx) => {
    const message = await loadMessage(ctx).load(id);
    return message !== undefined && (await viewerReads(ctx, message.room_id)) ? message : null;
  }),
  fields: (t) => ({
    room: t.field({
      type: Room,
      description: 'Where it was said.',
      resolve: (message, _args, ctx) => roomOf(ctx, message.room_id),
    }),
    author: t.field({
      type: User,
      description: 'Who said it.',
      resolve: (message, _args, ctx) => message.author ?? userOf(ctx, message.author_id),
    }),
    body: t.exposeString('body', {
      description:
        'Plain text as sent, never rewritten. Empty once deleted: a deleted message keeps its place in the timeline.',
    }),
    files: t.field({
      type: [File],
      description: 'The attached files, in the order given, without those that were deleted since.',
      resolve: async (message, _args, ctx) => presentFiles(ctx, await loadFileIds(ctx).load(message.id)),
    }),
    replyTo: t.field({
      type: Message,
      nullable: true,
      description: 'The message of the same room that this one answers.',
      resolve: (message, _args, ctx) =>
        message.reply_to_id === null ? null : messageOf(ctx, message.reply_to_id),
    }),
    createdAt: t.field({
      type: 'DateTime',
      description: 'When it was posted.',
      resolve: (message) => message.created_at,
    }),
    editedAt: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'When its body was last changed; null if never.',
      resolve: (message) => message.edited_at,
    }),
    deletedAt: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'When it was deleted; null if it was not.',
      resolve: (message) => message.deleted_at,
    }),
  }),
});

builder.objectField(Room, 'messages', (t) =>
  t.connection(
    {
      type: Message,
      nullable: true,
      extensions: needsViewer,
      description:
        "The room's messages in log order, oldest first, replies included. Begin with `last: 50`, then page back with `before`. Null if the viewer is not a member.",
      complexity: (args) => connectionComplexity(args),
      resolve: async (room, args: ConnectionArgs, ctx) => {
        if (!(await viewerReads(ctx, room.id))) return null;
        const page = await connection(
          ctx.cursors,
          `messages ${room.id}`,
          args,
          timelineKeyset.keyOf,
          (slice) => ctx.services.messages.timeline(room.id, slice),
        );
        return { ...page, room };
      },
    },
    {
      name: 'MessageConnection',
      description: "A page of a room's timeline.",
      fields: (c) => ({
        totalCount: c.int({
          description: 'Number of messages in the room, including deleted ones, which keep their place.',
          resolve: ({ room }) => room.message_count,
        }),
        eventCursor: c.string({
          description: listCursorDescription,
          resolve: ({ room }) => eventCursorOf(room),
        }),
      }),
    },
    { name: 'MessageEdge', description: 'A message in a page.' },
  ),
);

const body = text.max(MAX_BODY, `A message can have at most ${String(MAX_BODY)} characters.`);

const PostMessageInput = builder.inputType('PostMessageInput', {
  description: 'A new message.',
  fields: (t) => ({
    roomId: t.id({ required: true, description: 'Id of a room that you are in.' }),
    body: t.string({
      required: true,
      validate: body,
      description: `Plain text, at most ${String(MAX_BODY)} characters. May be empty only if the message has files.`,
    }),
    replyToId: t.id({ description: 'Id of the message that this one answers, in the same room.' }),
    fileIds: t.idList({
      validate: z
        .array(z.string())
        .max(MAX_FILES, `A message can have at most ${String(MAX_FILES)} files.`)
        .refine((ids) => new Set(ids).size === ids.length, 'The same file cannot be attached twice.')
        .nullish(),
      description: `Ids of files of the same room to attach, at most ${String(MAX_FILES)}.`,
    }),
    idempotencyKey: t.string({
      validate: idempotencyKey,
      description:
        'Chosen by the client, per user: sending the same key and input again returns the first result instead of posting twice; with different input it is CONFLICT.',
    }),
  }),
});

const EditMessageInput = builder.inputType('EditMessageInput', {
  description: 'A new body for a message.',
  fields: (t) => ({
    messageId: t.id({ required: true, description: 'Id of a message that you wrote.' }),
    body: t.string({
      required: true,
      validate: body,
      description: `Plain text, at most ${String(MAX_BODY)} characters. May be empty only if the message has files.`,
    }),
  }),
});

const DeleteMessageInput = builder.inputType('DeleteMessageInput', {
  description: 'The message to delete.',
  fields: (t) => ({ messageId: t.id({ required: true, description: 'Id of the message.' }) }),
});

const payload = (name: string, description: string, cursorDescription = writtenOrLastCursorDescription) =>
  builder.objectRef<Posted>(name).implement({
    description,
    fields: (t) => ({
      message: t.field({
        type: Message,
        description: 'The message as it is now.',
        resolve: ({ messageId, stored }, _args, ctx) => {
          if (stored === undefined) return messageOf(ctx, messageId);
          loadFileIds(ctx).prime(messageId, [...stored.fileIds]);
          return stored.row;
        },
      }),
      eventCursor: t.string({
        description: cursorDescription,
        resolve: (written) => written.eventCursor,
      }),
    }),
  });

const PostMessagePayload = payload(
  'PostMessagePayload',
  'The message that was posted.',
  writtenCursorDescription,
);
const EditMessagePayload = payload('EditMessagePayload', 'The message that was changed.');
const DeleteMessagePayload = payload('DeleteMessagePayload', 'The message that was deleted.');

builder.mutationFields((t) => ({
  postMessage: t.field({
    type: PostMessagePayload,
    nullable: true,
    description: 'Posts a message. The answer comes once it is stored durably.',
    args: { input: t.arg({ type: PostMessageInput, required: true, description: 'The message.' }) },
    resolve: (_root, { input }, ctx) => {
      const viewer = ctx.signedIn();
      ctx.count('posts');
      return ctx.wrote(
        ctx.services.messages.post(viewer.id, {
          roomId: decodeId('Room', input.roomId, 'input.roomId'),
          body: input.body,
          replyToId: input.replyToId == null ? null : decodeId('Message', input.replyToId, 'input.replyToId'),
          fileIds: (input.fileIds ?? []).map((id, i) => decodeId('File', id, `input.fileIds.${String(i)}`)),
          idempotencyKey: input.idempotencyKey ?? null,
        }),
      );
    },
  }),
  editMessage: t.field({
    type: EditMessagePayload,
    nullable: true,
    description:
      'Changes the body of a message that the viewer wrote. Giving it the body that it has already changes nothing.',
    args: { input: t.arg({ type: EditMessageInput, required: true, description: 'The change.' }) },
    resolve: (_root, { input }, ctx) => {
      const viewer = ctx.signedIn();
      const messageId = decodeId('Message', input.messageId, 'input.messageId');
      ctx.count('posts');
      return ctx.wrote(ctx.services.messages.edit(viewer.id, messageId, input.body));
    },
  }),
  deleteMessage: t.field({
    type: DeleteMessagePayload,
    nullable: true,
    description:
      'Empties a message, which keeps its place in the timeline. Only its author, owners and moderators can. Deleting it again changes nothing.',
    args: { input: t.arg({ type: DeleteMessageInput, required: true, description: 'The message.' }) },
    resolve: (_root, { input }, ctx) => {
      const viewer = ctx.signedIn();
      const messageId = decodeId('Message', input.messageId, 'input.messageId');
      ctx.count('posts');
      return ctx.wrote(ctx.services.messages.delete(viewer.id, messageId));
    },
  }),
}));

/** An event about one message. */
function messageEvent(name: 'MessageAdded' | 'MessageEdited' | 'MessageDeleted', description: string) {
  const ref = roomEvent(name, description);
  builder.objectField(ref, 'message', (t) =>
    t.field({
      type: Message,
      description: 'The message as it is when the event is sent.',
      resolve: (event, _args, ctx) => messageOf(ctx, subject(event.message_id, event)),
    }),
  );
  return ref;
}

const MessageAdded = messageEvent('MessageAdded', 'A message was posted.');
messageEvent('MessageEdited', 'The body of a message was changed.');
messageEvent('MessageDeleted', 'A message was deleted. It keeps its place in the timeline, empty.');

builder.subscriptionField('messageAdded', (t) =>
  t.field({
    type: MessageAdded,
    description:
      'New messages of a room. To miss nothing, always pass `after`, at first MessageConnection.eventCursor. This subscription sends no Checkpoint.',
    args: {
      roomId: t.arg.id({ required: true, description: 'Id of a room that you are in.' }),
      after: t.arg.string({
        description: 'An event cursor of this room: begin with what came after it.',
      }),
    },
    subscribe: (_root, { roomId, after }, ctx) =>
      ctx.services.rooms.watch(
        ctx.signedIn().id,
        decodeId('Room', roomId, 'roomId'),
        ctx.resumeAfter({ after, only: 'MESSAGE_ADDED' }),
      ),
    // `only` leaves no other kind.
    resolve: (event) => event as Extract<typeof event, { kind: 'MESSAGE_ADDED' }>,
  }),
);
