import { sql, type RawBuilder } from 'kysely';
import type { Database } from '../db/database.js';
import { readPage, type KeyRange, type Keyset, type KeysetPage, type Slice } from '../db/keyset.js';
import type { FileRow } from '../db/tables.js';
import {
  columnOf,
  conditionsOf,
  isIndexed,
  isUnfiltered,
  through,
  valueOf,
  type FileCriteria,
  type FileOrder,
} from './file-criteria.queries.js';
import { conditionsIn, orderedBy, rowsOfRun } from './file-runs.queries.js';
import { mergedFiles } from './merged-files.queries.js';

/** Whose rooms are looked into, and which of them: all if left out. */
export interface ViewerRooms {
  readonly userId: string;
  readonly roomIds: readonly string[] | undefined;
}

/** Rooms that are searched by a plan of their own. */
const LARGE_ROOMS = 20;

/** The order of files across rooms. Equal ones are ordered by room, then by time. */
export const viewerFilesKeyset = (
  order: FileOrder,
): Pick<Keyset<never, never, FileRow>, 'direction' | 'keyOf'> => ({
  direction: order.direction === 'ASC' ? 'asc' : 'desc',
  keyOf: (row) => [valueOf(row, order), row.room_id, row.seq],
});

/** A page of the files of all rooms that a user is in. */
export async function viewerFilesPage(
  db: Database,
  viewer: ViewerRooms,
  criteria: FileCriteria,
  order: FileOrder,
  slice: Slice,
): Promise<KeysetPage<FileRow>> {
  const keyset = viewerFilesKeyset(order);
  if (isIndexed(criteria, order)) {
    return readPage((range) => mergedFiles(db, roomsOf(viewer), criteria, order, range), keyset, slice);
  }
  const rooms = await largestFirst(db, viewer);
  return readPage((range) => searchedFiles(db, rooms, criteria, order, range), keyset, slice);
}

export async function countViewerFiles(
  db: Database,
  viewer: ViewerRooms,
  criteria: FileCriteria,
): Promise<number> {
  const { rows } = isUnfiltered(criteria)
    ? await sql<{ count: number }>`
        select coalesce(sum(file_count), 0)::bigint as count from rooms where id in (${roomsOf(viewer)})`.execute(
        db,
      )
    : await sql<{ count: number }>`
        select count(*) as count from files
        where room_id in (${roomsOf(viewer)}) and ${through()} and ${conditionsOf(criteria)}`.execute(db);
  return rows[0]?.count ?? 0;
}

/**
 * Reads a part of the list where rows have to be looked through. Whether to go through them in order, or to search and sort, Postgres judges
 * by what it knows of the values: so each of the largest rooms has its own turn, and the others are searched together.
 */
async function searchedFiles(
  db: Database,
  rooms: readonly string[],
  criteria: FileCriteria,
  order: FileOrder,
  { limit, ...range }: KeyRange,
): Promise<FileRow[]> {
  if (rooms.length === 0) return [];
  const sorted = (table: string): RawBuilder<unknown> =>
    orderedBy(
      [columnOf(order), 'room_id', 'seq'].map((column) => sql.ref(`${table}.${column}`)),
      range,
    );
  const parts = rooms
    .slice(0, LARGE_ROOMS)
    .map((id) => rowsOfRun({ room: sql`${id}::uuid` }, criteria, order, range));
  const others = rooms.slice(LARGE_ROOMS);
  if (others.length > 0) {
    parts.push(sql`from files where files.room_id = any(${others}::uuid[])
      and ${through()} and ${conditionsIn(range, criteria, order, sql`files.room_id`)} ${sorted('files')}`);
  }
  const found = sql.join(
    parts.map((part) => sql`(select files.* ${part} limit ${limit})`),
    sql` union all `,
  );
  const { rows } = await sql<FileRow>`
    select * from (${found}) found ${sorted('found')} limit ${limit}`.execute(db);
  return rows;
}

/** The rooms by how many files they have. */
async function largestFirst(db: Database, viewer: ViewerRooms): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    select id from rooms where id in (${roomsOf(viewer)}) and file_count > 0 order by file_count desc`.execute(
    db,
  );
  return rows.map(({ id }) => id);
}

const roomsOf = ({ userId, roomIds }: ViewerRooms): RawBuilder<unknown> =>
  sql`select room_id from memberships where user_id = ${userId}
    and exists (select from rooms where rooms.id = memberships.room_id and rooms.deleted_at is null)
    ${roomIds === undefined ? sql`` : sql`and room_id = any(${roomIds}::uuid[])`}`;
