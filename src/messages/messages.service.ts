import type { Database } from '../db/database.js';
import { claimKey, recordOutcome } from '../db/idempotency.js';
import { newId } from '../db/ids.js';
import type { KeysetPage, Slice } from '../db/keyset.js';
import type { MessageRow } from '../db/tables.js';
import { badInput, forbidden, notFound } from '../errors.js';
import type { Bus } from '../events/bus.js';
import { encodeEventCursor } from '../events/event-cursor.js';
import { filesByIds } from '../files/files.queries.js';
import { writeInRoom, type RoomWrite } from '../rooms/room-write.js';
import { canWrite } from '../rooms/rooms.policy.js';
import * as policy from './messages.policy.js';
import * as queries from './messages.queries.js';

/** UTF-16 units of a message's body. */
export const MAX_BODY = 10_000;
/** Files on one message. */
export const MAX_FILES = 20;

export interface MessagesDeps {
  readonly db: Database;
  readonly bus: Bus;
}

export interface NewMessage {
  readonly roomId: string;
  readonly body: string;
  readonly replyToId: string | null;
  readonly fileIds: readonly string[];
  readonly idempotencyKey: string | null;
}

export interface MessageWritten {
  readonly messageId: string;
  readonly eventCursor: string;
}

/** Posting, editing and deleting. `actorId` is the signed-in user. */
export class MessagesService {
  constructor(private readonly deps: MessagesDeps) {}

  /**
   * Posts a message, once for each idempotency key. Throws NOT_FOUND, FORBIDDEN, BAD_USER_INPUT, and CONFLICT for a key that
   * was used with another input.
   */
  async post(actorId: string, input: NewMessage): Promise<MessageWritten> {
    const { roomId, body, replyToId, fileIds } = input;
    if (body.trim() === '' && fileIds.length === 0)
      throw badInput('input.body', 'A message has a body, or files.');
    const call = {
      userId: actorId,
      mutation: 'postMessage',
      key: input.idempotencyKey ?? '',
      input: { roomId, body, replyToId, fileIds },
    };
    return writeInRoom(this.deps, actorId, roomId, async (write) => {
      if (!canWrite(write.role)) throw forbidden('Only members post: join the room first.');
      if (input.idempotencyKey !== null) {
        const first = await claimKey<MessageWritten>(write.trx, call);
        if (first !== undefined) return first;
      }
      await this.checkReferences(write, input);
      const messageId = newId();
      const place = await write.take({ messages: 1 });
      await queries.insertMessage(
        write.trx,
        {
          id: messageId,
          room_id: roomId,
          seq: place.seq,
          author_id: actorId,
          body,
          reply_to_id: replyToId,
          created_at: place.at,
          edited_at: null,
          deleted_at: null,
        },
        fileIds,
      );
      const eventCursor = await write.append(place, {
        kind: 'MESSAGE_ADDED',
        actor_id: actorId,
        message_id: messageId,
      });
      const outcome = { messageId, eventCursor };
      if (input.idempotencyKey !== null) await recordOutcome(write.trx, call, outcome);
      return outcome;
    });
  }

  /** Changes the body of one's own message. The same body again writes nothing. */
  async edit(actorId: string, messageId: string, body: string): Promise<MessageWritten> {
    return this.change(actorId, messageId, async (write, message) => {
      if (!policy.canEdit(message, actorId, write.role)) throw forbidden('Authors edit their own messages.');
      if (message.deleted_at !== null) throw badInput('input.messageId', 'This message was deleted.');
      if (message.body === body) return unchanged(write, messageId);
      if (body.trim() === '') {
        const [fileIds] = await queries.fileIdsOfMessages(write.trx, [messageId]);
        if (fileIds?.length === 0) throw badInput('input.body', 'A message has a body, or files.');
      }
      const place = await write.take();
      await queries.updateBody(write.trx, messageId, body, place.at);
      const eventCursor = await write.append(place, {
        kind: 'MESSAGE_EDITED',
        actor_id: actorId,
        message_id: messageId,
      });
      return { messageId, eventCursor };
    });
  }

  /** Empties a message; its place stays. Deleting it again writes nothing. */
  async delete(actorId: string, messageId: string): Promise<MessageWritten> {
    return this.change(actorId, messageId, async (write, message) => {
      if (!policy.canDelete(message, actorId, write.role)) {
        throw forbidden('Authors delete their own messages, owners and moderators any.');
      }
      if (message.deleted_at !== null) return unchanged(write, messageId);
      const place = await write.take();
      await queries.makeTombstone(write.trx, messageId, place.at);
      const eventCursor = await write.append(place, {
        kind: 'MESSAGE_DELETED',
        actor_id: actorId,
        message_id: messageId,
      });
      return { messageId, eventCursor };
    });
  }

  messages(ids: readonly string[]): Promise<(MessageRow | undefined)[]> {
    return queries.messagesByIds(this.deps.db, ids);
  }

  fileIds(messageIds: readonly string[]): Promise<string[][]> {
    return queries.fileIdsOfMessages(this.deps.db, messageIds);
  }

  timeline(roomId: string, slice: Slice): Promise<KeysetPage<MessageRow>> {
    return queries.timelinePage(this.deps.db, roomId, slice);
  }

  /** A message is seen by members alone, so for anyone else it does not exist, even in a public room. */
  private async change(
    actorId: string,
    messageId: string,
    work: (write: RoomWrite, message: MessageRow) => Promise<MessageWritten>,
  ): Promise<MessageWritten> {
    const roomId = await queries.roomOfMessage(this.deps.db, messageId);
    if (roomId === undefined) throw notFound('The message');
    return writeInRoom(
      this.deps,
      actorId,
      roomId,
      async (write) => {
        const [message] = await queries.messagesByIds(write.trx, [messageId]);
        if (message === undefined || !canWrite(write.role)) throw notFound('The message');
        return work(write, message);
      },
      'The message',
    );
  }

  private async checkReferences({ trx, room }: RoomWrite, { replyToId, fileIds }: NewMessage): Promise<void> {
    if (replyToId !== null) {
      const [message] = await queries.messagesByIds(trx, [replyToId]);
      if (message?.room_id !== room.id)
        throw badInput('input.replyToId', 'The message to reply to is not in this room.');
      if (message.deleted_at !== null)
        throw badInput('input.replyToId', 'The message to reply to was deleted.');
    }
    if (fileIds.length > 0) {
      const files = await filesByIds(trx, fileIds);
      const missing = files.findIndex((file) => file?.room_id !== room.id);
      if (missing >= 0) throw badInput(`input.fileIds.${String(missing)}`, 'This file is not in the room.');
    }
  }
}

function unchanged({ room }: RoomWrite, messageId: string): MessageWritten {
  return {
    messageId,
    eventCursor: encodeEventCursor({ roomId: room.id, seq: room.last_seq, tag: room.last_tag }),
  };
}
