import { sql, type RawBuilder } from 'kysely';
import type { KeyRange } from '../db/keyset.js';
import {
  columnOf,
  conditionsOf,
  isIndexed,
  through,
  type FileCriteria,
  type FileOrder,
  type IndexOf,
} from './file-criteria.queries.js';

/** A part of a list of files. Its keys are the order's value, room and seq, in this order. */
export type FileRange = Omit<KeyRange, 'limit'>;

/** Files of one room, as one index has them: all, or those of one type, or those of one uploader. */
export interface Run {
  /** The room's id. */
  readonly room: RawBuilder<unknown>;
  /** The type, where the criteria want several of which each is a run. */
  readonly type?: RawBuilder<unknown>;
}

/** `from`, `where` and `order by` of the files in a range of one run. Where an index has the run, it is read off that one, whatever Postgres believes of the room. */
export function rowsOfRun(
  { room, type }: Run,
  criteria: FileCriteria,
  order: FileOrder,
  range: FileRange,
): RawBuilder<unknown> {
  const indexes = isIndexed(criteria, order) ? [order.field, listOf(criteria)] : undefined;
  const ofType = type === undefined ? sql`` : sql`and files.mime_type = ${type}`;
  const others = type === undefined ? criteria : { ...criteria, mimeType: undefined };
  return sql`from files where files.room_id = ${room} ${ofType} and ${through(indexes)}
    and ${conditionsIn(range, others, order, room)}
    ${orderedBy([sql.ref(`files.${columnOf(order)}`), sql.ref('files.seq')], range)}`;
}

const listOf = ({ mimeType, uploaderId }: FileCriteria): IndexOf => {
  if (mimeType !== undefined) return 'ofType';
  return uploaderId === undefined ? 'ofRoom' : 'ofUploader';
};

/**
 * What must hold for the files of `room` in a range. In the order of time each side has one bound, the range's or the one that is asked for:
 * of two an index may be entered at the wrong one.
 */
export function conditionsIn(
  { from, inclusive, to, ascending }: FileRange,
  criteria: FileCriteria,
  order: FileOrder,
  room: RawBuilder<unknown>,
): RawBuilder<unknown> {
  const start = boundOf(`${ascending ? '>' : '<'}${inclusive ? '=' : ''}`, from, order, room);
  const end = boundOf(ascending ? '<' : '>', to, order, room);
  if (order.field !== 'CREATED_AT') return sql`${conditionsOf(criteria)} ${start} ${end}`;
  const [low, high] = ascending ? [from, to] : [to, from];
  const isLow = low !== undefined && !(Number(criteria.createdFrom) > timeOf(low));
  const isHigh = high !== undefined && !(Number(criteria.createdBefore) <= timeOf(high));
  const asked = {
    ...criteria,
    createdFrom: isLow ? undefined : criteria.createdFrom,
    createdBefore: isHigh ? undefined : criteria.createdBefore,
  };
  const [isStart, isEnd] = ascending ? [isLow, isHigh] : [isHigh, isLow];
  return sql`${conditionsOf(asked)} ${isStart ? start : sql``} ${isEnd ? end : sql``}`;
}

const timeOf = ([moment]: NonNullable<FileRange['from']>): number => Date.parse(String(moment));

/** One side of a range, for the files of `room`: a key of another room stands before or after all that are equal to it in the order. */
function boundOf(
  operator: string,
  key: FileRange['from'],
  order: FileOrder,
  room: RawBuilder<unknown>,
): RawBuilder<unknown> {
  if (key === undefined) return sql``;
  const [value, roomId, seq] = key;
  // Seqs begin at 1.
  return sql`and (files.${sql.ref(columnOf(order))}, files.seq) ${sql.raw(operator)} (${value},
    case when ${room} = ${roomId}::uuid then ${seq}::bigint
      when ${room} > ${roomId}::uuid then -1 else 9223372036854775807 end)`;
}

export const orderedBy = (
  columns: readonly RawBuilder<unknown>[],
  { ascending }: FileRange,
): RawBuilder<unknown> =>
  sql`order by ${sql.join(columns.map((column) => sql`${column} ${sql.raw(ascending ? 'asc' : 'desc')}`))}`;
