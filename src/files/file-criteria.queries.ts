import { sql, type RawBuilder } from 'kysely';
import type { FileRow } from '../db/tables.js';

/** What lists of files are narrowed to; all that is given must hold. */
export interface FileCriteria {
  /** `image/png` or `image/*`, lower case. */
  readonly mimeType: string | undefined;
  /** As `nameKey` makes it (file-name.ts). */
  readonly nameKeyContains: string | undefined;
  readonly uploaderId: string | undefined;
  /** The first moment that belongs to the list. */
  readonly createdFrom: Date | undefined;
  /** The first moment behind it. */
  readonly createdBefore: Date | undefined;
}

export interface FileOrder {
  readonly field: 'CREATED_AT' | 'NAME' | 'SIZE';
  readonly direction: 'ASC' | 'DESC';
}

/** The orders, each with its column and with what a cursor keeps of it. Within a room `seq` makes it unique. */
const ORDERS = {
  CREATED_AT: { column: 'created_at', valueOf: (row: FileRow) => row.created_at.toISOString() },
  NAME: { column: 'name_key', valueOf: (row: FileRow) => row.name_key },
  SIZE: { column: 'size', valueOf: (row: FileRow) => row.size },
} as const;

export const columnOf = ({ field }: FileOrder): string => ORDERS[field].column;

export const valueOf = (row: FileRow, { field }: FileOrder): string | number => ORDERS[field].valueOf(row);

/** Each holds for every file, and is a condition of the indexes of one order, or of one kind of list (migrations/0009_file_lists.ts). */
const ALWAYS = {
  CREATED_AT: sql`files.created_at > '-infinity'`,
  NAME: sql`files.name_key >= ''`,
  SIZE: sql`files.size >= 0`,
  ofRoom: sql`files.seq >= 0`,
  ofType: sql`files.mime_type >= ''`,
  ofUploader: sql`files.uploader_id >= '00000000-0000-0000-0000-000000000000'`,
} as const;

export type IndexOf = keyof typeof ALWAYS;

/** A condition that always holds, and says what indexes may be used: those of these orders and lists, or any of them. */
export const through = (
  indexes: readonly IndexOf[] = Object.keys(ALWAYS) as IndexOf[],
): RawBuilder<unknown> =>
  sql.join(
    indexes.map((index) => ALWAYS[index]),
    sql` and `,
  );

export const isUnfiltered = (criteria: FileCriteria): boolean =>
  Object.values(criteria).every((value) => value === undefined);

/**
 * Whether indexes have what is wanted of a room, and nothing else, in this order: there is one for each order, and one for each
 * order with the type, and with the uploader. All other filters are asked of row after row.
 */
export const isIndexed = (criteria: FileCriteria, { field }: FileOrder): boolean => {
  const { mimeType, nameKeyContains, uploaderId, createdFrom, createdBefore } = criteria;
  if (nameKeyContains !== undefined || (mimeType !== undefined && uploaderId !== undefined)) return false;
  return field === 'CREATED_AT' || (createdFrom === undefined && createdBefore === undefined);
};

/** The types that `image/*` stands for, as a range: from `image/` on, up to where the slash has become what follows it. */
export function typeRange(mimeType: string | undefined): { from: string; before: string } | undefined {
  if (mimeType?.endsWith('/*') !== true) return undefined;
  const kind = mimeType.slice(0, -2);
  return { from: `${kind}/`, before: `${kind}0` };
}

/** What must hold for a row of `files`. */
export function conditionsOf(criteria: Partial<FileCriteria>): RawBuilder<boolean> {
  const { mimeType, nameKeyContains, uploaderId, createdFrom, createdBefore } = criteria;
  const found = [sql`files.deleted_at is null`];
  const types = typeRange(mimeType);
  if (types !== undefined) {
    found.push(sql`files.mime_type >= ${types.from}`, sql`files.mime_type < ${types.before}`);
  } else if (mimeType !== undefined) found.push(sql`files.mime_type = ${mimeType}`);
  if (nameKeyContains !== undefined) {
    found.push(sql`files.name_key like ${`%${escapeLike(nameKeyContains)}%`}`);
  }
  if (uploaderId !== undefined) found.push(sql`files.uploader_id = ${uploaderId}`);
  if (createdFrom !== undefined) found.push(sql`files.created_at >= ${createdFrom}`);
  if (createdBefore !== undefined) found.push(sql`files.created_at < ${createdBefore}`);
  return sql<boolean>`${sql.join(found, sql` and `)}`;
}

const escapeLike = (text: string): string => text.replaceAll(/[\\%_]/g, String.raw`\$&`);
