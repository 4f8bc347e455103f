import type { Database, Trx } from '../db/database.js';

/** Files that are looked for in a folder that bears no id yet. */
const SAMPLE = 20;

/** The id of the folder that the files lie in; undefined until there is one. Whoever else asks waits for this transaction's end. */
export async function lockStoreId(trx: Trx): Promise<string | undefined> {
  const { id } = await trx.selectFrom('file_store').select('id').forUpdate().executeTakeFirstOrThrow();
  return id ?? undefined;
}

export async function setStoreId(trx: Trx, id: string): Promise<void> {
  await trx.updateTable('file_store').set({ id }).execute();
}

/** The storage keys of some files that there are, the newest. */
export async function newestStorageKeys(db: Database | Trx): Promise<string[]> {
  const rows = await db
    .selectFrom('files')
    .innerJoin('blobs', 'blobs.id', 'files.blob_id')
    .select('blobs.storage_key')
    .orderBy('files.id', 'desc')
    .limit(SAMPLE)
    .execute();
  return rows.map((row) => row.storage_key);
}
