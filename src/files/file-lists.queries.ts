import { sql } from 'kysely';
import type { Database } from '../db/database.js';
import { readPage, type Keyset, type KeysetPage, type ReadRange, type Slice } from '../db/keyset.js';
import type { FileRow } from '../db/tables.js';
import {
  conditionsOf,
  isIndexed,
  isUnfiltered,
  through,
  typeRange,
  valueOf,
  type FileCriteria,
  type FileOrder,
} from './file-criteria.queries.js';
import { rowsOfRun, type FileRange } from './file-runs.queries.js';
import { mergedFiles, type Extent } from './merged-files.queries.js';

/** The order of a room's files. */
export const filesKeyset = (
  order: FileOrder,
): Pick<Keyset<never, never, FileRow>, 'direction' | 'keyOf'> => ({
  direction: order.direction === 'ASC' ? 'asc' : 'desc',
  keyOf: (row) => [valueOf(row, order), row.seq],
});

export async function filesPage(
  db: Database,
  roomId: string,
  criteria: FileCriteria,
  order: FileOrder,
  slice: Slice,
): Promise<KeysetPage<FileRow>> {
  const withRoom = (key: FileRange['from']): FileRange['from'] => key && [key[0] ?? '', roomId, key[1] ?? 0];
  const read: ReadRange<FileRow> = ({ from, to, ...range }) =>
    filesIn(db, roomId, criteria, order, { ...range, from: withRoom(from), to: withRoom(to) });
  return readPage(read, filesKeyset(order), slice);
}

/** Rows `offset` and on. */
export async function filesAt(
  db: Database,
  roomId: string,
  criteria: FileCriteria,
  order: FileOrder,
  extent: Required<Extent>,
): Promise<FileRow[]> {
  const ascending = order.direction === 'ASC';
  const whole = { from: undefined, to: undefined, inclusive: false, ascending };
  return filesIn(db, roomId, criteria, order, { ...whole, ...extent });
}

async function filesIn(
  db: Database,
  roomId: string,
  criteria: FileCriteria,
  order: FileOrder,
  { limit, offset = 0, ...range }: FileRange & Extent,
): Promise<FileRow[]> {
  const room = sql`${roomId}::uuid`;
  // Such as all pictures by name: there is an index for those of each type, which are to be merged.
  if (typeRange(criteria.mimeType) !== undefined && isIndexed(criteria, order)) {
    return mergedFiles(db, sql`select ${room} as room_id`, criteria, order, { ...range, limit, offset });
  }
  const { rows } = await sql<FileRow>`
    select files.* ${rowsOfRun({ room }, criteria, order, range)} limit ${limit} offset ${offset}`.execute(
    db,
  );
  return rows;
}

export async function countFiles(db: Database, roomId: string, criteria: FileCriteria): Promise<number> {
  if (isUnfiltered(criteria)) {
    const room = await db
      .selectFrom('rooms')
      .select('file_count')
      .where('id', '=', roomId)
      .executeTakeFirst();
    return room?.file_count ?? 0;
  }
  const { rows } = await sql<{ count: number }>`
    select count(*) as count from files where room_id = ${roomId} and ${through()} and ${conditionsOf(criteria)}`.execute(
    db,
  );
  return rows[0]?.count ?? 0;
}
