import type { Database, Trx } from '../db/database.js';
import type { BlobRow, FileRow, NewFile } from '../db/tables.js';

/** Answers in the order of `ids`; undefined for what does not exist or was deleted. */
export async function filesByIds(
  db: Database | Trx,
  ids: readonly string[],
): Promise<(FileRow | undefined)[]> {
  if (ids.length === 0) return [];
  const rows = await db
    .selectFrom('files')
    .selectAll()
    .where('id', 'in', ids)
    .where('deleted_at', 'is', null)
    .execute();
  const byId = new Map(rows.map((row) => [row.id, row]));
  return ids.map((id) => byId.get(id));
}

/** The row, also of a deleted file. */
export async function fileRow(db: Database | Trx, id: string): Promise<FileRow | undefined> {
  return db.selectFrom('files').selectAll().where('id', '=', id).executeTakeFirst();
}

/** A file that is there, with where its bytes lie. */
export type StoredFileRow = FileRow & Pick<BlobRow, 'storage_key'>;

/** Undefined for what does not exist or was deleted, by itself or with its room. */
export async function storedFile(db: Database, id: string): Promise<StoredFileRow | undefined> {
  return db
    .selectFrom('files')
    .innerJoin('blobs', 'blobs.id', 'files.blob_id')
    .innerJoin('rooms', 'rooms.id', 'files.room_id')
    .selectAll('files')
    .select('blobs.storage_key')
    .where('files.id', '=', id)
    .where('rooms.deleted_at', 'is', null)
    .executeTakeFirst();
}

export async function insertFile(trx: Trx, file: NewFile): Promise<void> {
  await trx.insertInto('files').values(file).execute();
}

/** The row stays as a tombstone, for as long as the log may name it (housekeeping.ts). Its blob must be released next (blobs.queries.ts). */
export async function markDeleted(trx: Trx, id: string, at: Date): Promise<void> {
  await trx.updateTable('files').set({ deleted_at: at, blob_id: null }).where('id', '=', id).execute();
}

/** Some files of a room, tombstones among them. */
export async function someOfRoom(
  trx: Trx,
  roomId: string,
  limit: number,
): Promise<Pick<FileRow, 'id' | 'uploader_id'>[]> {
  return trx
    .selectFrom('files')
    .select(['id', 'uploader_id'])
    .where('room_id', '=', roomId)
    .limit(limit)
    .execute();
}

/** Deletes rows of files for good; answers those that were there. */
export async function deleteFileRows(trx: Trx, ids: readonly string[]): Promise<FileRow[]> {
  return trx.deleteFrom('files').where('id', 'in', ids).returningAll().execute();
}
