import { transaction, type Database } from '../db/database.js';
import type { KeysetPage, Slice } from '../db/keyset.js';
import type { MessageRow } from '../db/tables.js';
import { badInput, forbidden, notFound } from '../errors.js';
import { encodeEventCursor } from '../events/event-cursor.js';
import { writeInRoom, type RoomWrite } from '../rooms/room-write.js';
import { canWrite } from '../rooms/rooms.policy.js';
import * as policy from './messages.policy.js';
import * as queries from './messages.queries.js';
import type { Posted, PostingDeps } from './post-batch.js';
import type { MessageWritten, NewMessage } from './post-decisions.js';
import { Posting } from './posting.js';

/** UTF-16 units of a message's body. */
export const MAX_BODY = 10_000;
/** Files on one message. */
export const MAX_FILES = 20;

/** Posting, editing and deleting. `actorId` is the signed-in user. */
export class MessagesService {
  private readonly posting: Posting;

  constructor(private readonly deps: PostingDeps) {
    this.posting = new Posting(deps);
  }

  /**
   * Posts a message, once for each idempotency key. Throws NOT_FOUND, FORBIDDEN, BAD_USER_INPUT, and CONFLICT for a key that
   * was used with another input.
   */
  async post(actorId: string, input: NewMessage): Promise<Posted> {
    if (input.body.trim() === '' && input.fileIds.length === 0)
      throw badInput('input.body', 'A message must have a body or files.');
    return this.posting.post({ actorId, input });
  }

  /** Deletes some messages of a deleted room; false once there are none. */
  emptyRoom(background: Database, roomId: string): Promise<boolean> {
    return transaction(background, (trx) => queries.deleteNewestOfRoom(trx, roomId));
  }

  /** Changes the body of one's own message. The same body again writes nothing. */
  async edit(actorId: string, messageId: string, body: string): Promise<MessageWritten> {
    return this.change(actorId, messageId, async (write, message) => {
      if (!policy.canEdit(message, actorId, write.role))
        throw forbidden('You can only edit your own messages.');
      if (message.deleted_at !== null)
        throw badInput('input.messageId', 'This message was deleted, so it cannot be edited.');
      if (message.body === body) return unchanged(write, messageId);
      if (body.trim() === '') {
        const [fileIds] = await queries.fileIdsOfMessages(write.trx, [messageId]);
        if (fileIds?.length === 0) throw badInput('input.body', 'A message must have a body or files.');
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
        throw forbidden('You can only delete your own messages; owners and moderators can delete any.');
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
      { what: 'The message' },
    );
  }
}

function unchanged({ room }: RoomWrite, messageId: string): MessageWritten {
  return {
    messageId,
    eventCursor: encodeEventCursor({ roomId: room.id, seq: room.last_seq, tag: room.last_tag }),
  };
}
