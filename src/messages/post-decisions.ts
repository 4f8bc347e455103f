import { hashOf, outcomeOf, userKey, type FirstCall } from '../db/idempotency.js';
import { newId, newTag } from '../db/ids.js';
import type { FileRow, MessageRow } from '../db/tables.js';
import { badInput, forbidden, notFound, ParleyError } from '../errors.js';
import { encodeEventCursor } from '../events/event-cursor.js';
import { canSee, canWrite } from '../rooms/rooms.policy.js';
import type { RoomWithRoles } from '../rooms/rooms.queries.js';
import type { NewPost } from './messages.queries.js';

export interface NewMessage {
  readonly roomId: string;
  readonly body: string;
  readonly replyToId: string | null;
  readonly fileIds: readonly string[];
  readonly idempotencyKey: string | null;
}

/** What someone asks to be posted. */
export interface Post {
  readonly actorId: string;
  readonly input: NewMessage;
}

/** What a post is answered: also what its idempotency key keeps, so ids, not rows. */
export interface MessageWritten {
  readonly messageId: string;
  readonly eventCursor: string;
}

/** What decides about posts to one room, as of one moment. */
export interface Facts {
  /** The room, and the roles of those who post; undefined where there is no such room. */
  readonly found: RoomWithRoles | undefined;
  /** The messages that are answered. */
  readonly replies: readonly (MessageRow | undefined)[];
  /** The files that are attached, without those that are deleted. */
  readonly files: readonly (FileRow | undefined)[];
  /** The calls that came before with the same keys. */
  readonly first: ReadonlyMap<string, FirstCall>;
}

export interface Decisions {
  /** What each post comes to once `accepted` is written, in the order of the posts. */
  readonly outcomes: readonly (MessageWritten | ParleyError)[];
  /** What is to be written, at consecutive places right after the room's head. */
  readonly accepted: readonly NewPost[];
}

/** Decides one post after the other: each sees the keys of those before it, and one that is refused leaves nothing behind. */
export function decide(posts: readonly Post[], facts: Facts): Decisions {
  const accepted: NewPost[] = [];
  const first = new Map(facts.first);
  const outcomes = posts.map(({ actorId, input }) => {
    const { roomId, body, replyToId, fileIds, idempotencyKey: key } = input;
    try {
      const role = facts.found?.roles.get(actorId);
      if (facts.found === undefined || !canSee(facts.found.room, role)) throw notFound('The room');
      if (!canWrite(role)) throw forbidden('Only members can post: join the room first.');
      const inputHash = key === null ? '' : hashOf({ roomId, body, replyToId, fileIds });
      const earlier = key === null ? undefined : first.get(userKey({ userId: actorId, key }));
      if (earlier !== undefined) return outcomeOf(earlier, inputHash) as MessageWritten;
      checkReferences(input, facts);

      const place = { seq: facts.found.room.last_seq + accepted.length + 1, tag: newTag() };
      const messageId = newId();
      const written = { messageId, eventCursor: encodeEventCursor({ roomId, ...place }) };
      const keyed = key === null ? undefined : { key, inputHash, outcome: JSON.stringify(written) };
      if (keyed !== undefined) first.set(userKey({ userId: actorId, key: keyed.key }), keyed);
      accepted.push({ ...place, id: messageId, authorId: actorId, body, replyToId, fileIds, keyed });
      return written;
    } catch (error) {
      if (error instanceof ParleyError) return error;
      throw error;
    }
  });
  return { outcomes, accepted };
}

function checkReferences({ roomId, replyToId, fileIds }: NewMessage, { replies, files }: Facts): void {
  if (replyToId !== null) {
    const message = replies.find((row) => row?.id === replyToId);
    if (message?.room_id !== roomId)
      throw badInput('input.replyToId', 'The message to reply to is not in this room.');
    if (message.deleted_at !== null)
      throw badInput('input.replyToId', 'The message to reply to was deleted.');
  }
  const missing = fileIds.findIndex((id) => files.find((file) => file?.id === id)?.room_id !== roomId);
  if (missing >= 0) throw badInput(`input.fileIds.${String(missing)}`, 'This file is not in the room.');
}
