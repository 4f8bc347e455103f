import type { Database, Trx } from '../db/database.js';
import { statement } from '../db/statement.js';
import type { BlobRow } from '../db/tables.js';
import { insertExpiredLeases } from './upload-leases.queries.js';

/**
 * A blob is bytes in storage that files share which have the same content. How many do is counted nowhere: the rows of files say it. Both
 * ways in and out lock the blob, after the room: `holdBlob` before a row that names it is stored, `releaseBlobs` before it is looked whether there is
 * one left. A blob whose last file goes is deleted in the same transaction, its bytes are an expired lease's from then on, and the next upload of
 * the content makes another one under a key of its own: nothing is revived that a sweep may be deleting.
 */

/** Where the bytes of the blob lie that new files of this content share; undefined where there is none. */
export async function sharedKey(db: Database, sha256: string): Promise<string | undefined> {
  const row = await db
    .selectFrom('blobs')
    .select('storage_key')
    .where('sha256', '=', sha256)
    .where('is_shared', '=', true)
    .executeTakeFirst();
  return row?.storage_key;
}

export interface HeldBlob {
  readonly id: string;
  /** Whether bytes are left over that the sweeper is to take. */
  readonly leavesBytes: boolean;
}

/** One statement whatever it finds, so that its time tells little of that. */
const hold = statement<HeldBlob>(
  'hold_blob',
  `
  with blob as (
    insert into blobs (id, storage_key, sha256, size) values ($1::text, $1, $2, $3)
    on conflict (sha256) where is_shared do update
      set storage_key = case when blobs.storage_key = $4::text then excluded.storage_key else blobs.storage_key end
    returning id, storage_key
  ), left_over as (
    insert into upload_leases (storage_key, expires_at)
    select case when storage_key = $1 then $4 else $1 end, 'epoch' from blob where id <> $1
  )
  select id, id <> $1 as "leavesBytes" from blob`,
);

/**
 * The blob for a new file of this content, locked: the one that there is, or one of the bytes under `storageKey`, whose lease was just redeemed.
 * Where the bytes under the key `lost` are found to be no good (lost-twin.ts), and the blob's still are those, the new ones take their place, for
 * all of its files. What nothing names afterwards is handed to the sweeper. Whoever comes with the same content waits for this transaction's end.
 */
export async function holdBlob(
  trx: Trx,
  { storageKey, sha256, size }: Pick<BlobRow, 'sha256' | 'size'> & { readonly storageKey: string },
  lost: string | undefined,
): Promise<HeldBlob> {
  const [blob] = await hold(trx, [storageKey, sha256, size, lost ?? null]);
  if (blob === undefined) throw new Error('a blob is neither there nor made');
  return blob;
}

/**
 * After rows of files were deleted, or marked so, in this transaction: deletes those of their blobs that no file names any more, and hands their bytes to the
 * sweeper, which is to be woken after the commit. The only place where a blob ends: whatever else lies in storage for it goes here.
 */
export async function releaseBlobs(trx: Trx, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return;
  // In one order, so that two who release several wait for each other and no more.
  await trx.selectFrom('blobs').select('id').where('id', 'in', ids).orderBy('id').forUpdate().execute();
  // A statement of its own: it must see what was committed while we waited for the locks.
  const unused = await trx
    .selectFrom('blobs')
    .select('id')
    .where('id', 'in', ids)
    .where((eb) =>
      eb.not(eb.exists(eb.selectFrom('files').select('files.id').whereRef('files.blob_id', '=', 'blobs.id'))),
    )
    .execute();
  if (unused.length === 0) return;
  const going = unused.map(({ id }) => id);
  const variants = await trx
    .deleteFrom('variants')
    .where('blob_id', 'in', going)
    .returning('storage_key')
    .execute();
  const gone = await trx.deleteFrom('blobs').where('id', 'in', going).returning('storage_key').execute();
  await insertExpiredLeases(
    trx,
    [...variants, ...gone].map(({ storage_key }) => storage_key),
  );
}

/** Every blob, so many at a time, in the order of their ids. */
export async function* allBlobs(db: Database, limit: number): AsyncGenerator<BlobRow[]> {
  let after = '';
  for (;;) {
    const rows = await db
      .selectFrom('blobs')
      .selectAll()
      .where('id', '>', after)
      .orderBy('id')
      .limit(limit)
      .execute();
    if (rows.length > 0) yield rows;
    const last = rows.at(-1);
    if (last === undefined || rows.length < limit) return;
    after = last.id;
  }
}

/** The ids of the files that name each of the blobs; a blob that none does is missing. */
export async function filesOfBlobs(db: Database, ids: readonly string[]): Promise<Map<string, string[]>> {
  const rows = await db
    .selectFrom('files')
    .select(['id', 'blob_id'])
    .where('blob_id', 'in', ids)
    .orderBy('id')
    .execute();
  const found = new Map<string, string[]>();
  for (const { id, blob_id } of rows) {
    if (blob_id === null) continue;
    const names = found.get(blob_id);
    if (names === undefined) found.set(blob_id, [id]);
    else names.push(id);
  }
  return found;
}

/** Whether the blob still is, and its bytes still lie under the same key. */
export async function isBlob(
  db: Database,
  { id, storage_key }: Pick<BlobRow, 'id' | 'storage_key'>,
): Promise<boolean> {
  const row = await db
    .selectFrom('blobs')
    .select('id')
    .where('id', '=', id)
    .where('storage_key', '=', storage_key)
    .executeTakeFirst();
  return row !== undefined;
}
