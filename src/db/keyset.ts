import { sql, type ReferenceExpression, type SelectQueryBuilder } from 'kysely';
import type { Database } from './database.js';
import { quickRead } from './statement.js';
import type { Tables } from './tables.js';

/** A list's order: columns that are unique together, all in one direction, and how to read them off a row. */
export interface Keyset<DB, TB extends keyof DB, Row> {
  readonly columns: readonly ReferenceExpression<DB, TB>[];
  readonly direction: 'asc' | 'desc';
  readonly keyOf: (row: Row) => readonly (string | number)[];
}

export interface Slice {
  /** Rows a page, 1 or more. */
  readonly count: number;
  /** Take them from the end of the range. */
  readonly fromEnd: boolean;
  /** Only rows after this key. */
  readonly after?: readonly (string | number)[] | undefined;
  /** Only rows before this key. */
  readonly before?: readonly (string | number)[] | undefined;
}

export interface KeysetPage<Row> {
  /** In the list's order, whichever end they were taken from. */
  readonly rows: Row[];
  /** Whether the list goes on beyond the page, asked of the database only where the rows did not already tell. */
  readonly hasNext: () => boolean | Promise<boolean>;
  readonly hasPrevious: () => boolean | Promise<boolean>;
}

/** A part of a list, as it is read off an index: from one end, in one direction. */
export interface KeyRange {
  /** Where it begins; undefined: at the list's end. */
  readonly from: Key | undefined;
  /** Whether a row at `from` belongs to it. */
  readonly inclusive: boolean;
  /** Where it ends: a row there belongs to it no longer. */
  readonly to: Key | undefined;
  /** By rising values, whichever way the list goes. */
  readonly ascending: boolean;
  readonly limit: number;
}

/** Reads a part of one list. */
export type ReadRange<Row> = (range: KeyRange) => Promise<Row[]>;

type Key = readonly (string | number)[];

/**
 * Reads a page by its key: the cost does not grow with depth. One row more than asked is read to learn whether there are more; reading
 * starts at the cursor's own row, which mostly is still there and so answers for the other side too.
 */
export async function readPage<Row>(
  read: ReadRange<Row>,
  { direction, keyOf }: Pick<Keyset<never, never, Row>, 'direction' | 'keyOf'>,
  { count, fromEnd, after, before }: Slice,
): Promise<KeysetPage<Row>> {
  const from = fromEnd ? before : after;
  const to = fromEnd ? after : before;
  const ascending = (direction === 'asc') !== fromEnd;
  const limit = count + 1 + (from === undefined ? 0 : 1);
  const found = await read({ from, inclusive: true, to, ascending, limit });

  const startStands = from !== undefined && found[0] !== undefined && sameKey(keyOf(found[0]), from);
  const rows = (startStands ? found.slice(1) : found).slice(0, count);
  const more = found.length - (startStands ? 1 : 0) > count;
  const last = rows.at(-1);
  const exists = async (onward: boolean, key: Key, inclusive: boolean): Promise<boolean> =>
    (await read({ from: key, inclusive, to: undefined, ascending: ascending === onward, limit: 1 })).length >
    0;

  // Onward: in the direction of reading. Past `to` there may be rows that the range left out.
  const onward = (): boolean | Promise<boolean> => {
    if (more) return true;
    if (to === undefined) return false;
    return last === undefined ? exists(true, to, true) : exists(true, keyOf(last), false);
  };
  const backward = (): boolean | Promise<boolean> => {
    if (from === undefined) return false;
    return startStands || exists(false, from, false);
  };
  return fromEnd
    ? { rows: rows.reverse(), hasNext: backward, hasPrevious: onward }
    : { rows, hasNext: onward, hasPrevious: backward };
}

/** Reads the list that `query` selects, filtered and unordered, in the order of `keyset`. */
export const rangesOf =
  <TB extends keyof Tables, Row>(
    query: SelectQueryBuilder<Tables, TB, Row>,
    { columns }: Pick<Keyset<Tables, TB, Row>, 'columns'>,
  ): ReadRange<Row> =>
  ({ from, inclusive, to, ascending, limit }) => {
    const names = sql.join(columns.map((column) => sql.ref(column as string)));
    const compared = (operator: string, key: Key) =>
      sql<boolean>`(${names}) ${sql.raw(operator)} (${sql.join(key)})`;
    let ranged = query;
    if (from !== undefined) ranged = ranged.where(compared(beyond(ascending, inclusive), from));
    if (to !== undefined) ranged = ranged.where(compared(before(ascending), to));
    for (const column of columns) ranged = ranged.orderBy(column, ascending ? 'asc' : 'desc');
    return ranged.limit(limit).execute();
  };

/**
 * The same for a list that is read all the time, by quick statements (statement.ts). `text` selects it, filtered by `$1`; `column` is the
 * one that it is ordered by.
 */
export function preparedRanges<Row>(
  name: string,
  text: string,
  column: string,
): (db: Database, parameter: unknown) => ReadRange<Row> {
  const known = new Map<string, ReturnType<typeof quickRead<Row>>>();
  const of = ({ from, inclusive, to, ascending }: KeyRange) => {
    const conditions = [
      ...(from === undefined ? [] : [`${column} ${beyond(ascending, inclusive)} $3`]),
      ...(to === undefined ? [] : [`${column} ${before(ascending)} $${from === undefined ? 3 : 4}`]),
    ];
    const key = `${ascending ? 'up' : 'down'} ${conditions.join(' ')}`;
    let prepared = known.get(key);
    if (prepared === undefined) {
      const where = conditions.map((condition) => ` and ${condition}`).join('');
      prepared = quickRead<Row>(
        `${name}_${String(known.size)}`,
        `${text}${where} order by ${column} ${ascending ? 'asc' : 'desc'} limit $2`,
      );
      known.set(key, prepared);
    }
    return prepared;
  };
  return (db, parameter) => (range) =>
    of(range)(db, [parameter, range.limit, ...(range.from ?? []), ...(range.to ?? [])]);
}

const beyond = (ascending: boolean, inclusive: boolean): string =>
  `${ascending ? '>' : '<'}${inclusive ? '=' : ''}`;
const before = (ascending: boolean): string => (ascending ? '<' : '>');

/**
 * Two lists in one order with no row in common, as one list: `a` and `b` are the same slice of each. `compare` orders rows as the
 * database does.
 */
export function mergePages<Row>(
  a: KeysetPage<Row>,
  b: KeysetPage<Row>,
  compare: (left: Row, right: Row) => number,
  { count, fromEnd }: Slice,
): KeysetPage<Row> {
  const found = [...a.rows, ...b.rows].sort(compare);
  const rows = fromEnd ? found.slice(Math.max(found.length - count, 0)) : found.slice(0, count);
  const left = rows.length < found.length;
  const either = async (ask: (page: KeysetPage<Row>) => boolean | Promise<boolean>): Promise<boolean> =>
    (await ask(a)) || (await ask(b));
  return {
    rows,
    hasNext: async () => (left && !fromEnd) || either((page) => page.hasNext()),
    hasPrevious: async () => (left && fromEnd) || either((page) => page.hasPrevious()),
  };
}

const sameKey = (a: readonly unknown[], b: readonly unknown[]): boolean =>
  a.every((value, i) => value === b[i]);
