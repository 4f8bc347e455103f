import { sql } from 'kysely';
import { transaction, type Database, type Trx } from '../../db/database.js';
import type { UploadPartRow, UploadSessionRow } from '../../db/tables.js';
import { addJob, dropJob } from '../../jobs/jobs.queries.js';

/**
 * An upload over several requests: a row, its parts, and leases on all keys that its bytes lie under. Row and leases run out at the same time, which
 * every write puts off. Time is the database's clock throughout; within a transaction it stands still.
 */

/** The kind of job that finishes an upload; its subject is the upload's id. */
export const UPLOAD_JOB = 'upload';

/** Untouched for so long an upload ends, and its bytes go. */
export const UPLOAD_EXPIRY_MS = 24 * 3_600_000;
/** Longer than a job is tried. */
const PROCESSING_MS = 30 * 24 * 3_600_000;

const after = (ms: number) => sql<Date>`now() + ${`${String(ms)} milliseconds`}::interval`;
const now = sql<Date>`now()`;
const LONG_AGO = new Date(0);

/** The row, and whether its time has run out. */
export type FoundUpload = UploadSessionRow & { readonly has_expired: boolean };

export interface NewUpload {
  readonly id: string;
  readonly user_id: string;
  readonly room_id: string;
  readonly name: string;
  readonly claimed_type: string;
  readonly size: number;
  readonly is_direct: boolean;
  readonly storage_key: string;
}

/** Uploads of a user that are not over. Under the lock of the user's usage two of theirs are not let in together. */
export async function countOpenUploads(trx: Trx, userId: string): Promise<number> {
  const { count } = await trx
    .selectFrom('upload_sessions')
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .where('user_id', '=', userId)
    .where('state', 'in', ['RECEIVING', 'PROCESSING'])
    .where('expires_at', '>', now)
    .executeTakeFirstOrThrow();
  return count;
}

/** The row, with a lease on its key. */
export async function insertUpload(trx: Trx, upload: NewUpload): Promise<void> {
  const expires_at = after(UPLOAD_EXPIRY_MS);
  await trx.insertInto('upload_leases').values({ storage_key: upload.storage_key, expires_at }).execute();
  await trx
    .insertInto('upload_sessions')
    .values({ ...upload, expires_at })
    .execute();
}

export async function findUpload(db: Database | Trx, id: string): Promise<FoundUpload | undefined> {
  return db
    .selectFrom('upload_sessions')
    .selectAll()
    .select(sql<boolean>`expires_at <= clock_timestamp()`.as('has_expired'))
    .where('id', '=', id)
    .executeTakeFirst();
}

/** What was received of it, in order. */
export async function partsOf(db: Database | Trx, id: string): Promise<UploadPartRow[]> {
  return db.selectFrom('upload_parts').selectAll().where('upload_id', '=', id).orderBy('number').execute();
}

export async function lastPartOf(db: Database, id: string): Promise<UploadPartRow | undefined> {
  return db
    .selectFrom('upload_parts')
    .selectAll()
    .where('upload_id', '=', id)
    .orderBy('number', 'desc')
    .limit(1)
    .executeTakeFirst();
}

/** The upload that a lock is on, as one who writes names it. */
export interface Fenced {
  readonly id: string;
  readonly fence: number;
}

/** Whether it is still received, under this lock. Locks the row. */
async function isWriter(trx: Trx, { id, fence }: Fenced): Promise<boolean> {
  const row = await trx
    .selectFrom('upload_sessions')
    .select('id')
    .where('id', '=', id)
    .where('fence', '=', fence)
    .where('state', '=', 'RECEIVING')
    .where('expires_at', '>', now)
    .forUpdate()
    .executeTakeFirst();
  return row !== undefined;
}

/** Leases one more key for it. False when the lock was lost, or the upload is over. */
export async function leaseFor(db: Database, writer: Fenced, storageKey: string): Promise<boolean> {
  return transaction(db, async (trx) => {
    if (!(await isWriter(trx, writer))) return false;
    await trx
      .insertInto('upload_leases')
      .values({ storage_key: storageKey, expires_at: after(UPLOAD_EXPIRY_MS) })
      .execute();
    return true;
  });
}

/** A number for a part; undefined when the lock was lost, or the upload is over. */
export async function reservePart(db: Database, { id, fence }: Fenced): Promise<number | undefined> {
  const row = await db
    .updateTable('upload_sessions')
    .set((eb) => ({ next_part: eb('next_part', '+', 1) }))
    .where('id', '=', id)
    .where('fence', '=', fence)
    .where('state', '=', 'RECEIVING')
    .returning('next_part')
    .executeTakeFirst();
  return row === undefined ? undefined : row.next_part;
}

/** What became durable, and where it lies. */
type NewProgress = Pick<UploadSessionRow, 'received'> &
  Partial<Pick<UploadSessionRow, 'multipart_id' | 'tail_key'>> & {
    readonly parts?: readonly Omit<UploadPartRow, 'upload_id'>[];
  };

/**
 * Writes down what is durable, and puts off the time of the upload and of all its leases. With the last byte the upload is complete, and a job is
 * asked for. False when the lock was lost, the upload is over, or a lease had run out: then nothing was written.
 */
export async function commitProgress(
  db: Database,
  writer: Fenced,
  { parts = [], ...progress }: NewProgress,
): Promise<boolean> {
  return transaction(db, async (trx) => {
    if (!(await isWriter(trx, writer))) return false;
    const before = await trx
      .selectFrom('upload_sessions')
      .select(['user_id', 'size', 'tail_key'])
      .where('id', '=', writer.id)
      .executeTakeFirstOrThrow();
    if (parts.length > 0) {
      await trx
        .insertInto('upload_parts')
        .values(
          parts.map(({ number, size, storage_key, etag }) => ({
            upload_id: writer.id,
            number,
            size,
            storage_key,
            etag,
          })),
        )
        .onConflict((conflict) =>
          conflict.columns(['upload_id', 'number']).doUpdateSet((eb) => ({ size: eb.ref('excluded.size') })),
        )
        .execute();
    }
    if (progress.tail_key !== undefined && before.tail_key !== null && before.tail_key !== progress.tail_key)
      await expireLeases(trx, [before.tail_key]);
    const isComplete = progress.received === before.size;
    const expires_at = after(isComplete ? PROCESSING_MS : UPLOAD_EXPIRY_MS);
    await trx
      .updateTable('upload_sessions')
      .set({
        ...progress,
        expires_at,
        ...(isComplete && { state: 'PROCESSING' as const }),
      })
      .where('id', '=', writer.id)
      .execute();
    if (!(await extendLeases(trx, writer.id, expires_at))) throw new LeaseLostError();
    if (isComplete) await addJob(trx, UPLOAD_JOB, writer.id, before.user_id);
    return true;
  }).catch((error: unknown) => {
    if (error instanceof LeaseLostError) return false;
    throw error;
  });
}

/** Undoes the transaction: a sweep has begun to take the bytes. */
class LeaseLostError extends Error {
  override readonly name = 'LeaseLostError';
}

/** Keys that its bytes lie under. */
async function keysOf(trx: Trx, id: string): Promise<string[]> {
  const { rows } = await sql<{ key: string }>`
    select key from (
      select unnest(array[storage_key, tail_key]) as key from upload_sessions where id = ${id}
      union select storage_key from upload_parts where upload_id = ${id}
    ) as keys where key is not null`.execute(trx);
  return rows.map(({ key }) => key);
}

/** Names the bucket's multipart upload of one that is sent there directly, unless it has one. */
export async function setMultipart(db: Database, id: string, multipartId: string): Promise<void> {
  await db
    .updateTable('upload_sessions')
    .set({ multipart_id: multipartId })
    .where('id', '=', id)
    .where('multipart_id', 'is', null)
    .execute();
}

async function extendLeases(trx: Trx, id: string, expires_at: ReturnType<typeof after>): Promise<boolean> {
  const keys = await keysOf(trx, id);
  const { numUpdatedRows } = await trx
    .updateTable('upload_leases')
    .set({ expires_at })
    .where('storage_key', 'in', keys)
    .where('expires_at', '>', now)
    .executeTakeFirst();
  return numUpdatedRows === BigInt(keys.length);
}

async function expireLeases(trx: Trx, keys: readonly string[]): Promise<void> {
  await trx
    .updateTable('upload_leases')
    .set({ expires_at: LONG_AGO })
    .where('storage_key', 'in', keys)
    .execute();
}

/** How an upload that was complete ended: with a file, whose transaction this is, or refused. */
export type Ending =
  | { readonly state: 'DONE'; readonly file_id: string }
  | { readonly state: 'REFUSED'; readonly code: string; readonly message: string };

/**
 * Ends an upload that is being processed, and hands all that is still leased for it to the sweeper: what became of a file is not leased any
 * more. False when it had ended before.
 */
export async function endUpload(trx: Trx, id: string, ending: Ending): Promise<boolean> {
  const { numUpdatedRows } = await trx
    .updateTable('upload_sessions')
    .set({ ...ending, expires_at: now, held_until: null })
    .where('id', '=', id)
    .where('state', '=', 'PROCESSING')
    .executeTakeFirst();
  if (numUpdatedRows === 0n) return false;
  await expireLeases(trx, await keysOf(trx, id));
  return true;
}

/** Removes an upload that is still received, under a lock on it, and hands its bytes to the sweeper. False when the lock was lost, or it is over. */
export async function cancelUpload(db: Database, writer: Fenced): Promise<boolean> {
  return transaction(db, async (trx) => {
    if (!(await isWriter(trx, writer))) return false;
    await expireLeases(trx, await keysOf(trx, writer.id));
    await trx.deleteFrom('upload_sessions').where('id', '=', writer.id).execute();
    return true;
  });
}

/** Removes some uploads into a room, whatever became of them, and hands what is still leased for them to the sweeper; false once there are none. */
export async function removeUploadsOfRoom(trx: Trx, roomId: string, limit: number): Promise<boolean> {
  const uploads = await trx
    .selectFrom('upload_sessions')
    .select('id')
    .where('room_id', '=', roomId)
    .orderBy('id')
    .limit(limit)
    .forUpdate()
    .execute();
  for (const { id } of uploads) {
    await expireLeases(trx, await keysOf(trx, id));
    await dropJob(trx, UPLOAD_JOB, id);
    await trx.deleteFrom('upload_sessions').where('id', '=', id).execute();
  }
  return uploads.length > 0;
}
