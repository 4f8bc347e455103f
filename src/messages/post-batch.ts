import type { Database, Trx } from '../db/database.js';
import { firstCalls } from '../db/idempotency.js';
import { throughOutage } from '../db/outage.js';
import type { MessageRow, RoomEventRow } from '../db/tables.js';
import { ParleyError } from '../errors.js';
import { wakeRoom, type Bus } from '../events/bus.js';
import type { LogHead } from '../events/event-log.js';
import type { KnownMessage, KnownSubjects } from '../events/feed-subscription.js';
import type { RoomFeeds } from '../events/room-feeds.js';
import { filesByIds } from '../files/files.queries.js';
import { tracing } from '../observability/tracing.js';
import { underRoomLock, type Written } from '../rooms/room-write.js';
import { roomWithRoles } from '../rooms/rooms.queries.js';
import { insertPosts, messagesByIds, POST_MESSAGE, type NewPost } from './messages.queries.js';
import { decide, type Facts, type MessageWritten, type Post } from './post-decisions.js';
import type { WrittenRooms } from './written-rooms.js';

/** What became of a post. */
export interface Posted extends MessageWritten {
  /** The message and its files as this call has written them; undefined when they were there already. */
  readonly stored?: KnownMessage;
}

type Outcomes = readonly (Posted | ParleyError)[];

export interface PostingDeps {
  readonly db: Database;
  readonly bus: Bus;
  readonly feeds: RoomFeeds;
}

/** What was written, for those who follow the room. */
type Tell = (last: LogHead, events: readonly RoomEventRow[], known: KnownSubjects) => void;

/**
 * Posts what arrived together for one room, in one transaction, and answers what became of each, in their order. Three phases:
 * read what decides, decide, and write what was accepted by one statement.
 *
 * The statement writes only where the room's log still ends as it did when the room was read. Whatever else decides (a role, a
 * message that is answered, a file) changes by an event of that log, and of two calls with one key the index lets one pass: so what
 * is written was decided rightly, without a lock between reading and writing. Where this process has posted the last two in the room,
 * `written` knows it still, and for plain posts nothing is read. When something came between, all three are done again: at first without
 * a lock, where nothing had been read, then under the room's lock; with `locked`, from the start. The answer says whether they were.
 *
 * Throws what fails them all together. Then nothing is written, or after an outage (isOutage) nobody knows.
 */
export async function postBatch(
  deps: PostingDeps,
  written: WrittenRooms,
  roomId: string,
  posts: readonly Post[],
  locked: boolean,
): Promise<{ readonly outcomes: Outcomes; readonly locked: boolean }> {
  /** What the attempt before may have written. */
  let before: Written<Outcomes> | undefined;

  /** Undefined, with nothing written, when something came between. */
  const attempt = async (db: Database | Trx, facts: Facts, tell: Tell): Promise<Outcomes | undefined> => {
    before = undefined;
    const { outcomes, accepted } = decide(posts, facts);
    const last = accepted.at(-1);
    if (facts.found === undefined || last === undefined) return outcomes;
    const { last_seq: seq, last_tag: tag } = facts.found.room;
    before = { place: last, value: outcomes };
    const at = await insertPosts(db, roomId, { seq, tag }, accepted);
    if (at === undefined) {
      before = undefined;
      return undefined;
    }
    const messages = accepted.map((post) => ({ row: rowOf(post, roomId, at), fileIds: post.fileIds }));
    tell(
      last,
      accepted.map((post) => eventOf(post, roomId, at)),
      { messages, users: facts.found.users.values() },
    );
    return withStored(outcomes, messages);
  };

  const unlocked = (db: Database, facts: Facts, readAt?: number): Promise<Outcomes | undefined> =>
    attempt(db, facts, (last, events, known) => {
      if (facts.found !== undefined) written.wrote(facts.found, last, readAt);
      // Not at once: those who posted are answered before many are told. In a trace each step is to be seen.
      if (tracing === undefined) setImmediate(() => deps.feeds.offer(roomId, events, known));
      wakeRoom(deps.bus, roomId, last.seq);
    });

  return throughOutage(async (number) => {
    if (number === 0 && !locked) {
      const found = written.of(roomId, posts);
      const outcomes =
        (found && (await unlocked(deps.db, { found, replies: [], files: [], first: new Map() }))) ??
        (await deps.db.connection().execute(async (db) => {
          const readAt = performance.now();
          return unlocked(db, await read(db, roomId, posts), readAt);
        }));
      if (outcomes !== undefined) return { outcomes, locked };
    }
    written.forget(roomId);
    const outcomes = await underRoomLock(deps, roomId, before, async (trx, wake) => {
      const done = await attempt(trx, await read(trx, roomId, posts), ({ seq }) => {
        wake(seq);
      });
      if (done === undefined) throw new Error(`the log of room ${roomId} moved on under its lock`);
      return done;
    });
    return { outcomes, locked: true };
  });
}

/** The room comes first: what is read after it may be newer, and then the log has moved on. */
async function read(db: Database | Trx, roomId: string, posts: readonly Post[]): Promise<Facts> {
  const unique = (ids: readonly string[]): string[] => [...new Set(ids)];
  const found = await roomWithRoles(db, roomId, unique(posts.map(({ actorId }) => actorId)));
  const replyIds = unique(posts.flatMap(({ input }) => input.replyToId ?? []));
  const fileIds = unique(posts.flatMap(({ input }) => input.fileIds));
  const keys = posts.flatMap(({ actorId: userId, input: { idempotencyKey: key } }) =>
    key === null ? [] : { userId, key },
  );
  return {
    found,
    replies: await messagesByIds(db, replyIds),
    files: await filesByIds(db, fileIds),
    first: await firstCalls(db, POST_MESSAGE, keys),
  };
}

function withStored(outcomes: Outcomes, messages: readonly KnownMessage[]): Outcomes {
  const stored = new Map(messages.map((message) => [message.row.id, message]));
  return outcomes.map((outcome) => {
    if (outcome instanceof ParleyError) return outcome;
    const mine = stored.get(outcome.messageId);
    return mine === undefined ? outcome : { ...outcome, stored: mine };
  });
}

const rowOf = ({ id, seq, authorId, body, replyToId }: NewPost, roomId: string, at: Date): MessageRow => ({
  id,
  room_id: roomId,
  seq,
  author_id: authorId,
  body,
  reply_to_id: replyToId,
  created_at: at,
  edited_at: null,
  deleted_at: null,
});

const eventOf = ({ id, seq, tag, authorId }: NewPost, roomId: string, at: Date): RoomEventRow => ({
  room_id: roomId,
  seq,
  tag,
  kind: 'MESSAGE_ADDED',
  at,
  actor_id: authorId,
  message_id: id,
  file_id: null,
  user_id: null,
  role: null,
});
