import { sql, type SelectQueryBuilder } from 'kysely';
import type { Database, Trx } from '../db/database.js';
import { rangesOf, readPage, type Keyset, type KeysetPage, type Slice } from '../db/keyset.js';
import type { BlobRow, FileRow, NewFile, Tables } from '../db/tables.js';

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

/** Undefined for what does not exist or was deleted. */
export async function storedFile(db: Database, id: string): Promise<StoredFileRow | undefined> {
  return db
    .selectFrom('files')
    .innerJoin('blobs', 'blobs.id', 'files.blob_id')
    .selectAll('files')
    .select('blobs.storage_key')
    .where('files.id', '=', id)
    .executeTakeFirst();
}

export async function insertFile(trx: Trx, file: NewFile): Promise<void> {
  await trx.insertInto('files').values(file).execute();
}

/** The row stays as a tombstone: the log names it. Its blob must be released next (blobs.queries.ts). */
export async function markDeleted(trx: Trx, id: string, at: Date): Promise<void> {
  await trx.updateTable('files').set({ deleted_at: at, blob_id: null }).where('id', '=', id).execute();
}

export interface FileCriteria {
  /** `image/png` or `image/*`, lower case. */
  readonly mimeType: string | undefined;
  /** As `nameKey` makes it (file-name.ts). */
  readonly nameKeyContains: string | undefined;
  readonly uploaderId: string | undefined;
}

export interface FileOrder {
  readonly field: 'CREATED_AT' | 'NAME' | 'SIZE';
  readonly direction: 'ASC' | 'DESC';
}

type FilesQuery = SelectQueryBuilder<Tables, 'files', FileRow>;

/** The orders of a room's files, each on a key that is unique within the room. The log's order is the order of time. */
const ORDERS = {
  CREATED_AT: { columns: ['files.seq'], keyOf: (row: FileRow) => [row.seq] },
  NAME: { columns: ['files.name_key', 'files.seq'], keyOf: (row: FileRow) => [row.name_key, row.seq] },
  SIZE: { columns: ['files.size', 'files.seq'], keyOf: (row: FileRow) => [row.size, row.seq] },
} as const;

export const filesKeyset = ({ field, direction }: FileOrder): Keyset<Tables, 'files', FileRow> => ({
  ...ORDERS[field],
  direction: direction === 'ASC' ? 'asc' : 'desc',
});

export async function filesPage(
  db: Database,
  roomId: string,
  criteria: FileCriteria,
  order: FileOrder,
  slice: Slice,
): Promise<KeysetPage<FileRow>> {
  const keyset = filesKeyset(order);
  return readPage(rangesOf(filtered(db, roomId, criteria), keyset), keyset, slice);
}

/** Rows `offset` and on. */
export async function filesAt(
  db: Database,
  roomId: string,
  criteria: FileCriteria,
  order: FileOrder,
  { offset, limit }: { readonly offset: number; readonly limit: number },
): Promise<FileRow[]> {
  const { columns, direction } = filesKeyset(order);
  let query = filtered(db, roomId, criteria);
  for (const column of columns) query = query.orderBy(column, direction);
  return query.offset(offset).limit(limit).execute();
}

export async function countFiles(db: Database, roomId: string, criteria: FileCriteria): Promise<number> {
  if (Object.values(criteria).every((value) => value === undefined)) {
    const room = await db
      .selectFrom('rooms')
      .select('file_count')
      .where('id', '=', roomId)
      .executeTakeFirst();
    return room?.file_count ?? 0;
  }
  const { count } = await filtered(db, roomId, criteria)
    .clearSelect()
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow();
  return count;
}

function filtered(db: Database, roomId: string, criteria: FileCriteria): FilesQuery {
  const { mimeType, nameKeyContains, uploaderId } = criteria;
  let query = db
    .selectFrom('files')
    .selectAll()
    .where('room_id', '=', roomId)
    .where('deleted_at', 'is', null);
  if (mimeType?.endsWith('/*') === true) {
    query = query.where(sql<boolean>`starts_with(files.mime_type, ${mimeType.slice(0, -1)})`);
  } else if (mimeType !== undefined) {
    query = query.where('mime_type', '=', mimeType);
  }
  if (nameKeyContains !== undefined)
    query = query.where('name_key', 'like', `%${escapeLike(nameKeyContains)}%`);
  if (uploaderId !== undefined) query = query.where('uploader_id', '=', uploaderId);
  return query;
}

const escapeLike = (text: string): string => text.replaceAll(/[\\%_]/g, String.raw`\$&`);
