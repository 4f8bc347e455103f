import { sql, type RawBuilder } from 'kysely';
import type { Database } from '../db/database.js';
import type { FileRow } from '../db/tables.js';
import {
  columnOf,
  conditionsOf,
  through,
  typeRange,
  type FileCriteria,
  type FileOrder,
} from './file-criteria.queries.js';
import { orderedBy, rowsOfRun, type FileRange } from './file-runs.queries.js';

/** How many rows of a range are read. */
export interface Extent {
  readonly limit: number;
  /** Rows that are passed over before; 0 if left out. */
  readonly offset?: number;
}

/**
 * Reads a range of a list that no single index has in its order, by merging runs: the rooms that `rooms` selects (one column, `room_id`),
 * or each type in each of them where the criteria want several. `isIndexed` must hold for criteria and order.
 *
 * The first row of every run is looked at. A run whose first row is behind those of as many others as there are rows to read has none
 * of them, so only that many runs are read on. The cost is a look into each run and, at most, the square of the page; not how long
 * the runs are, how deep the page lies in them, or what others have.
 */
export async function mergedFiles(
  db: Database,
  rooms: RawBuilder<unknown>,
  criteria: FileCriteria,
  order: FileOrder,
  { limit, offset = 0, ...range }: FileRange & Extent,
): Promise<FileRow[]> {
  const types = typeRange(criteria.mimeType);
  const sorted = (table: string): RawBuilder<unknown> =>
    orderedBy(
      [columnOf(order), 'room_id', 'seq'].map((column) => sql.ref(`${table}.${column}`)),
      range,
    );
  const ofRun = (table: string): RawBuilder<unknown> => {
    const type = types === undefined ? {} : { type: sql.ref(`${table}.mime_type`) };
    return rowsOfRun({ room: sql.ref(`${table}.room_id`), ...type }, criteria, order, range);
  };
  const reach = limit + offset;
  const { rows } = await sql<FileRow>`
    with recursive rooms_read as materialized (${rooms}),
    ${types === undefined ? sql`runs as materialized (select room_id from rooms_read)` : typesOf(types)},
    ahead as materialized (
      select runs.* from runs
      cross join lateral (select files.${sql.ref(columnOf(order))}, files.room_id, files.seq ${ofRun('runs')} limit 1) top
      ${sorted('top')} limit ${reach}
    )
    select found.* from ahead
    cross join lateral (select files.* ${ofRun('ahead')} limit ${reach}) found
    ${sorted('found')} limit ${limit} offset ${offset}`.execute(db);
  return rows;
}

/** The types in each room, found by going from one to the next in the index. */
function typesOf({ from, before }: { from: string; before: string }): RawBuilder<unknown> {
  const next = (room: RawBuilder<unknown>, after: RawBuilder<unknown>): RawBuilder<unknown> => sql`
    (select files.mime_type from files
      where files.room_id = ${room} and ${conditionsOf({})} and ${through()}
        and files.mime_type ${after} and files.mime_type < ${before}
      order by files.mime_type limit 1)`;
  return sql`runs (room_id, mime_type) as (
      select room_id, ${next(sql`rooms_read.room_id`, sql`>= ${from}`)} from rooms_read
      union all
      select room_id, ${next(sql`runs.room_id`, sql`> runs.mime_type`)} from runs where mime_type is not null
    )`;
}
