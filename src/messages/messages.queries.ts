import type { Database, Trx } from '../db/database.js';
import { readPage, type Keyset, type KeysetPage, type Slice } from '../db/keyset.js';
import type { MessageRow, Tables } from '../db/tables.js';

/** Answers in the order of `ids`. */
export async function messagesByIds(
  db: Database | Trx,
  ids: readonly string[],
): Promise<(MessageRow | undefined)[]> {
  const rows = await db.selectFrom('messages').selectAll().where('id', 'in', ids).execute();
  const byId = new Map(rows.map((row) => [row.id, row]));
  return ids.map((id) => byId.get(id));
}

/** The room that a message is in, which never changes. */
export async function roomOfMessage(db: Database, id: string): Promise<string | undefined> {
  const row = await db.selectFrom('messages').select('room_id').where('id', '=', id).executeTakeFirst();
  return row?.room_id;
}

export const timelineKeyset: Keyset<Tables, 'messages', MessageRow> = {
  columns: ['messages.seq'],
  direction: 'asc',
  keyOf: (row) => [row.seq],
};

export async function timelinePage(
  db: Database,
  roomId: string,
  slice: Slice,
): Promise<KeysetPage<MessageRow>> {
  return readPage(db.selectFrom('messages').selectAll().where('room_id', '=', roomId), timelineKeyset, slice);
}

export async function insertMessage(
  trx: Trx,
  message: MessageRow,
  fileIds: readonly string[],
): Promise<void> {
  await trx.insertInto('messages').values(message).execute();
  if (fileIds.length === 0) return;
  await trx
    .insertInto('message_files')
    .values(fileIds.map((fileId, position) => ({ message_id: message.id, position, file_id: fileId })))
    .execute();
}

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
