import type { Database } from '../db/database.js';
import { sharedKey } from './blobs.queries.js';
import type { Storage } from './storage/storage.js';
import type { StoredFile } from './uploads.js';

/**
 * Before new bytes are thrown away for those of a blob with the same content: its storage key where its bytes are missing or of another
 * size, undefined where they are there, and where there is no such blob. Storage is asked either way, so that it takes as long; and outside of
 * any lock, since it may be slow.
 */
export async function lostTwin(
  { db, storage }: { readonly db: Database; readonly storage: Storage },
  { storageKey, sha256, size }: Pick<StoredFile, 'storageKey' | 'sha256' | 'size'>,
): Promise<string | undefined> {
  const twin = await sharedKey(db, sha256);
  const found = await storage.size(twin ?? storageKey);
  return found === size ? undefined : twin;
}
