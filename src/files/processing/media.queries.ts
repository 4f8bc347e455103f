import type { Database, Trx } from '../../db/database.js';
import type { MediaFactsRow, VariantRow } from '../../db/tables.js';
import { insertExpiredLeases } from '../upload-leases.queries.js';

/** The name of the picture that a job made of a film or a document: made by no request. */
export const POSTER = 'poster';

/** Variants that are kept of one blob. For one more the oldest goes. */
const MAX_KEPT = 100;

/** What was found in a blob, and whether a poster was made of it. */
export type MediaFacts = MediaFactsRow & { readonly hasPoster: boolean };

/** What the finder of facts knows: null where there is no such thing. */
export type NewFacts = Omit<MediaFactsRow, 'blob_id'>;

export const NOTHING: NewFacts = {
  width: null,
  height: null,
  thumbhash: null,
  duration_ms: null,
  pages: null,
};

/** Answers in the order of `ids`; undefined for blobs that were not looked at yet. */
export async function mediaFacts(db: Database, ids: readonly string[]): Promise<(MediaFacts | undefined)[]> {
  if (ids.length === 0) return [];
  const rows = await db
    .selectFrom('media_facts')
    .leftJoin('variants', (join) =>
      join.onRef('variants.blob_id', '=', 'media_facts.blob_id').on('variants.name', '=', POSTER),
    )
    .selectAll('media_facts')
    .select('variants.name')
    .where('media_facts.blob_id', 'in', ids)
    .execute();
  const byId = new Map(rows.map(({ name, ...row }) => [row.blob_id, { ...row, hasPoster: name !== null }]));
  return ids.map((id) => byId.get(id));
}

/** Locks a blob until `trx` ends, so that it does not go meanwhile; false for one that has gone. */
async function holdBlob(trx: Trx, id: string): Promise<boolean> {
  const row = await trx.selectFrom('blobs').select('id').where('id', '=', id).forUpdate().executeTakeFirst();
  return row !== undefined;
}

/** Writes what was found in a blob, once; what is written already stands. */
export async function insertFacts(trx: Trx, blobId: string, facts: NewFacts): Promise<void> {
  if (!(await holdBlob(trx, blobId))) return;
  await trx
    .insertInto('media_facts')
    .values({ blob_id: blobId, ...facts })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

export async function variantOf(db: Database, blobId: string, name: string): Promise<VariantRow | undefined> {
  return db
    .selectFrom('variants')
    .selectAll()
    .where('blob_id', '=', blobId)
    .where('name', '=', name)
    .executeTakeFirst();
}

/**
 * Adds a variant of a blob. False where there is one of this name already, or the blob has gone: then its bytes belong to nothing.
 * Of too many the oldest goes, its bytes to the sweeper.
 */
export async function insertVariant(trx: Trx, variant: Omit<VariantRow, 'created_at'>): Promise<boolean> {
  const { blob_id: blobId } = variant;
  if (!(await holdBlob(trx, blobId))) return false;
  const { numInsertedOrUpdatedRows = 0n } = await trx
    .insertInto('variants')
    .values(variant)
    .onConflict((conflict) => conflict.columns(['blob_id', 'name']).doNothing())
    .executeTakeFirst();
  if (numInsertedOrUpdatedRows === 0n) return false;
  const tooMany = await trx
    .selectFrom('variants')
    .select('storage_key')
    .where('blob_id', '=', blobId)
    .where('name', '!=', POSTER)
    .orderBy('created_at', 'desc')
    .orderBy('name')
    .offset(MAX_KEPT)
    .execute();
  for (const { storage_key: key } of tooMany) await dropVariant(trx, key);
  return true;
}

/** Forgets a variant, and leaves its bytes to the sweeper. */
export async function dropVariant(trx: Trx, storageKey: string): Promise<void> {
  const { numDeletedRows } = await trx
    .deleteFrom('variants')
    .where('storage_key', '=', storageKey)
    .executeTakeFirst();
  if (numDeletedRows > 0n) await insertExpiredLeases(trx, [storageKey]);
}

/** Has what was found in a file shown, under its room's lock; false where it is already, or the file was deleted, by itself or with the room. */
export async function showMedia(trx: Trx, fileId: string): Promise<boolean> {
  const { numUpdatedRows } = await trx
    .updateTable('files')
    .set({ media_known: true })
    .where('id', '=', fileId)
    .where('media_known', '=', false)
    .where('deleted_at', 'is', null)
    .where('room_id', 'in', (qb) => qb.selectFrom('rooms').select('id').where('deleted_at', 'is', null))
    .executeTakeFirst();
  return numUpdatedRows > 0n;
}
