import type { PublicUser } from '../accounts/accounts.queries.js';
import type { Database, Trx } from '../db/database.js';
import { preparedRanges, readPage, type Keyset, type KeysetPage, type Slice } from '../db/keyset.js';
import { statement } from '../db/statement.js';
import type { MessageRow, Tables } from '../db/tables.js';
import { timestampOf } from '../db/timestamps.js';
import { headMove, MOVE_HEAD, NOW, type LogHead } from '../events/event-log.js';

/** Answers in the order of `ids`. */
export async function messagesByIds(
  db: Database | Trx,
  ids: readonly string[],
): Promise<(MessageRow | undefined)[]> {
  if (ids.length === 0) return [];
  const rows = await db.selectFrom('messages').selectAll().where('id', 'in', ids).execute();
  const byId = new Map(rows.map((row) => [row.id, row]));
  return ids.map((id) => byId.get(id));
}

/** The room that a message is in, which never changes. */
export async function roomOfMessage(db: Database, id: string): Promise<string | undefined> {
  const row = await db.selectFrom('messages').select('room_id').where('id', '=', id).executeTakeFirst();
  return row?.room_id;
}

/** A message with its author, whom nearly every page shows: that saves a statement, and half the promises of an answer. */
export interface TimelineRow extends MessageRow {
  readonly author: PublicUser;
}

/** A message and its author as one flat row. What costs to be read stays text until it is asked for. */
interface FlatRow extends Omit<MessageRow, 'room_id'> {
  readonly author_handle: string;
  readonly author_name: string;
  readonly author_since: string;
}

export const timelineKeyset: Pick<
  Keyset<Tables, 'messages', Pick<MessageRow, 'seq'>>,
  'direction' | 'keyOf'
> = {
  direction: 'asc',
  keyOf: (row) => [row.seq],
};

const timeline = preparedRanges<FlatRow>(
  'timeline',
  `select m.id, m.seq, m.author_id, m.body, m.reply_to_id, m.created_at, m.edited_at, m.deleted_at,
     u.handle as author_handle, u.name as author_name, u.created_at::text as author_since
   from messages m join users u on u.id = m.author_id
   where m.room_id = $1`,
  'm.seq',
);

export async function timelinePage(
  db: Database,
  roomId: string,
  slice: Slice,
): Promise<KeysetPage<TimelineRow>> {
  const page = await readPage(timeline(db, roomId), timelineKeyset, slice);
  return { ...page, rows: page.rows.map((row) => timelineRow(roomId, row)) };
}

const timelineRow = (room_id: string, row: FlatRow): TimelineRow => ({
  id: row.id,
  room_id,
  seq: row.seq,
  author_id: row.author_id,
  body: row.body,
  reply_to_id: row.reply_to_id,
  created_at: row.created_at,
  edited_at: row.edited_at,
  deleted_at: row.deleted_at,
  author: new Author(row.author_id, row.author_handle, row.author_name, row.author_since),
});

class Author implements PublicUser {
  constructor(
    readonly id: string,
    readonly handle: string,
    readonly name: string,
    private readonly since: string,
  ) {}

  get created_at(): Date {
    return timestampOf(this.since);
  }
}

/** Under which its idempotency keys are kept. */
export const POST_MESSAGE = 'postMessage';

/** A message that is to be posted, at its place in the log. */
export interface NewPost extends LogHead {
  readonly id: string;
  readonly authorId: string;
  readonly body: string;
  readonly replyToId: string | null;
  readonly fileIds: readonly string[];
  /** Kept under the idempotency key that it came with: the input's hash, and the outcome as JSON. */
  readonly keyed: { readonly key: string; readonly inputHash: string; readonly outcome: string } | undefined;
}

const POSTS = `with head as (
    ${MOVE_HEAD} and last_seq = $7 and last_tag = $8 returning ${NOW} as at
  ), post as (
    select post.*, at
    from head, unnest($9::uuid[], $10::bigint[], $11::text[], $12::uuid[], $13::text[], $14::uuid[])
      as post (id, seq, tag, author_id, body, reply_to_id)
  ), posted as (
    insert into messages (id, room_id, seq, author_id, body, reply_to_id, created_at)
    select id, $1, seq, author_id, body, reply_to_id, at from post
  ), logged as (
    insert into room_events (room_id, seq, tag, kind, at, actor_id, message_id)
    select $1, seq, tag, 'MESSAGE_ADDED', at, author_id, id from post
  )`;
const FILES_AND_KEYS = `, attached as (
    insert into message_files (message_id, position, file_id)
    select file.* from head, unnest($15::uuid[], $16::int[], $17::uuid[]) as file
  ), claimed as (
    insert into idempotency_keys (mutation, user_id, key, input_hash, outcome)
    select '${POST_MESSAGE}', key.* from head, unnest($18::uuid[], $19::text[], $20::text[], $21::text[]) as key
  )`;
const AT = ' select at from head';
/** Most posts bring neither files nor a key, and to insert no rows into a table costs Postgres as well. */
const insertPlain = statement<{ at: Date }>('insert_posts', POSTS + AT);
const insertAll = statement<{ at: Date }>('insert_posts_and_more', POSTS + FILES_AND_KEYS + AT);

/**
 * Posts messages, one or more, with their files, events and keys, at the places right after `head`, provided that the room's log
 * still ends there; answers the time of it. Undefined, with nothing written, where the log has moved on. One statement, so that it
 * is a transaction also by itself. A key that was claimed meanwhile violates `idempotency_keys_pkey`.
 */
export async function insertPosts(
  db: Database | Trx,
  roomId: string,
  head: LogHead,
  posts: readonly NewPost[],
): Promise<Date | undefined> {
  const files = posts.flatMap(({ id, fileIds }) =>
    fileIds.map((fileId, position) => ({ id, position, fileId })),
  );
  const keys = posts
    .flatMap(({ authorId, keyed }) => (keyed === undefined ? [] : { authorId, ...keyed }))
    // In one order everywhere, or two transactions could wait for each other's keys.
    .sort((a, b) => (`${a.authorId}:${a.key}` < `${b.authorId}:${b.key}` ? -1 : 1));
  const plain = [
    ...headMove(roomId, posts.length, posts.at(-1)?.tag ?? head.tag, { messages: posts.length }),
    ...[head.seq, head.tag],
    ...columns(posts, 'id', 'seq', 'tag', 'authorId', 'body', 'replyToId'),
  ];
  const [written] =
    files.length === 0 && keys.length === 0
      ? await insertPlain(db, plain)
      : await insertAll(db, [
          ...plain,
          ...columns(files, 'id', 'position', 'fileId'),
          ...columns(keys, 'authorId', 'key', 'inputHash', 'outcome'),
        ]);
  return written?.at;
}

/** Rows as arrays, one for each column, as `unnest` takes them. */
const columns = <Row>(rows: readonly Row[], ...names: (keyof Row)[]): unknown[][] =>
  names.map((name) => rows.map((row) => row[name]));

export async function updateBody(trx: Trx, id: string, body: string, editedAt: Date): Promise<void> {
  await trx.updateTable('messages').set({ body, edited_at: editedAt }).where('id', '=', id).execute();
}

/** Leaves the message's place in the timeline, without its words and files. */
export async function makeTombstone(trx: Trx, id: string, deletedAt: Date): Promise<void> {
  await trx.updateTable('messages').set({ body: '', deleted_at: deletedAt }).where('id', '=', id).execute();
  await trx.deleteFrom('message_files').where('message_id', '=', id).execute();
}

/** The ids of the files of each message, in the order they were attached. */
export async function fileIdsOfMessages(db: Database, messageIds: readonly string[]): Promise<string[][]> {
  const rows = await db
    .selectFrom('message_files')
    .select(['message_id', 'file_id'])
    .where('message_id', 'in', messageIds)
    .orderBy('position')
    .execute();
  const byMessage = new Map<string, string[]>(messageIds.map((id) => [id, []]));
  for (const row of rows) byMessage.get(row.message_id)?.push(row.file_id);
  return messageIds.map((id) => byMessage.get(id) ?? []);
}

/** Messages of a deleted room that go in one transaction. */
const BATCH = 500;

/** Deletes the newest messages of a deleted room, so that none goes before the replies to it; false once there are none. */
export async function deleteNewestOfRoom(trx: Trx, roomId: string): Promise<boolean> {
  const newest = await trx
    .selectFrom('messages')
    .select('id')
    .where('room_id', '=', roomId)
    .orderBy('seq', 'desc')
    .limit(BATCH)
    .execute();
  const ids = newest.map(({ id }) => id);
  if (ids.length === 0) return false;
  await trx.deleteFrom('message_files').where('message_id', 'in', ids).execute();
  await trx.deleteFrom('messages').where('id', 'in', ids).execute();
  return true;
}
