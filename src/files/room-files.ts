import type { Trx } from '../db/database.js';
import { dropJob } from '../jobs/jobs.queries.js';
import { releaseBlobs } from './blobs.queries.js';
import { deleteFileRows, someOfRoom } from './files.queries.js';
import { mediaKindOf } from './processing/media-kinds.js';
import { discharge } from './quotas.js';
import { removeUploadsOfRoom } from './resumable/upload-sessions.queries.js';
import { lockUsage } from './usage.queries.js';

/** Files, and uploads, that go in one transaction. */
const BATCH = 200;

/**
 * Deletes some of the files of a deleted room, which no message names any more, and of the uploads into it; false once there are none. No file comes into such a room, and
 * nobody else deletes there: but another process may do the same. Bytes that are left over are the sweeper's.
 */
export async function deleteSomeOfRoom(trx: Trx, roomId: string): Promise<boolean> {
  // They name files.
  if (await removeUploadsOfRoom(trx, roomId, BATCH)) return true;
  const some = await someOfRoom(trx, roomId, BATCH);
  if (some.length === 0) return false;
  // In one order everywhere, and before the room and its blobs.
  for (const userId of [...new Set(some.map(({ uploader_id: id }) => id))].sort())
    await lockUsage(trx, userId);
  const gone = await deleteFileRows(
    trx,
    some.map(({ id }) => id),
  );
  const blobIds: string[] = [];
  for (const { id, blob_id: blobId, uploader_id: userId, size, mime_type: mimeType } of gone) {
    // A tombstone counts no more already.
    if (blobId === null) continue;
    blobIds.push(blobId);
    await discharge(trx, { userId, roomId }, size);
    const media = mediaKindOf(mimeType);
    if (media !== undefined) await dropJob(trx, media, id);
  }
  await releaseBlobs(trx, blobIds);
  return true;
}
