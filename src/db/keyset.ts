import { sql, type ReferenceExpression, type SelectQueryBuilder } from 'kysely';
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

/**
 * Reads a page by its key: the cost does not grow with depth. `query` selects the whole filtered list, unordered.
 * One row more than asked is read to learn whether there are more; reading starts at the cursor's own row, which mostly
 * is still there and so answers for the other side too.
 */
export async function readPage<TB extends keyof Tables, Row>(
  query: SelectQueryBuilder<Tables, TB, Row>,
  keyset: Keyset<Tables, TB, Row>,
  { count, fromEnd, after, before }: Slice,
): Promise<KeysetPage<Row>> {
  const start = fromEnd ? before : after;
  const stop = fromEnd ? after : before;
  const forward = (keyset.direction === 'asc') !== fromEnd;
  const order = forward ? 'asc' : 'desc';

  let ranged = query;
  if (start !== undefined) ranged = ranged.where(compare(keyset, forward ? '>=' : '<=', start));
  if (stop !== undefined) ranged = ranged.where(compare(keyset, forward ? '<' : '>', stop));
  for (const column of keyset.columns) ranged = ranged.orderBy(column, order);
  const found = await ranged.limit(count + 1 + (start === undefined ? 0 : 1)).execute();

  const startStands = start !== undefined && found[0] !== undefined && sameKey(keyset.keyOf(found[0]), start);
  const rows = (startStands ? found.slice(1) : found).slice(0, count);
  const more = found.length - (startStands ? 1 : 0) > count;
  const last = rows.at(-1);

  const existsFrom = async (operator: Operator, key: readonly (string | number)[]): Promise<boolean> =>
    (await query
      .where(compare(keyset, operator, key))
      .limit(1)
      .executeTakeFirst()) !== undefined;

  // Onward: in the direction of reading. Past `stop` there may be rows that the range left out.
  const onward = (): boolean | Promise<boolean> => {
    if (more) return true;
    if (stop === undefined) return false;
    return last === undefined
      ? existsFrom(forward ? '>=' : '<=', stop)
      : existsFrom(forward ? '>' : '<', keyset.keyOf(last));
  };
  const backward = (): boolean | Promise<boolean> => {
    if (start === undefined) return false;
    if (startStands) return true;
    return existsFrom(forward ? '<' : '>', start);
  };
  return fromEnd
    ? { rows: rows.reverse(), hasNext: backward, hasPrevious: onward }
    : { rows, hasNext: onward, hasPrevious: backward };
}

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

type Operator = '>' | '>=' | '<' | '<=';

function compare<TB extends keyof Tables, Row>(
  keyset: Keyset<Tables, TB, Row>,
  operator: Operator,
  key: readonly (string | number)[],
) {
  const columns = sql.join(keyset.columns.map((column) => sql.ref(column as string)));
  return sql<boolean>`(${columns}) ${sql.raw(operator)} (${sql.join(key)})`;
}

const sameKey = (a: readonly unknown[], b: readonly unknown[]): boolean =>
  a.every((value, i) => value === b[i]);
