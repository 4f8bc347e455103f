import { LRUCache } from 'lru-cache';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { transaction, type Database } from '../../db/database.js';
import type { VariantRow } from '../../db/tables.js';
import { ParleyError } from '../../errors.js';
import { counts } from '../../observability/counts.js';
import type { Logger } from '../../observability/logger.js';
import type { LeaseSweeper } from '../lease-sweeper.js';
import type { Storage } from '../storage/storage.js';
import { underLease } from '../uploads.js';
import { redeemLease } from '../upload-leases.queries.js';
import { dropVariant, insertVariant, variantOf } from './media.queries.js';
import type { Pictures } from './pictures.js';
import { UnreadableError } from './program.js';
import { variantName, type KeptSpec } from './variant-spec.js';
import { MissingBytesError, type Source, type Workshop } from './workshop.js';

/** Bytes of the largest picture that something is made of. */
export const MAX_PICTURE_BYTES = 256 * 1024 * 1024;

/** Milliseconds for which a picture that failed is not tried again. */
const FAILED_MS = 600_000;

export interface VariantDeps {
  readonly db: Database;
  readonly storage: Storage;
  readonly sweeper: LeaseSweeper;
  readonly logger: Logger;
  readonly pictures: Pictures;
  readonly workshop: Workshop;
}

/** Bytes of which variants are made. */
export type Original = Source & { readonly blob_id: string; readonly uploader_id: string };

/**
 * Pictures that are made of files when they are first asked for, and kept. Several requests for one that is not there have it made once; of
 * several processes each makes it, the first one's is kept and the others' bytes are removed.
 */
export class Variants {
  private readonly making = new Map<string, Promise<VariantRow | undefined>>();
  private readonly failed = new LRUCache<string, UnreadableError>({ max: 1000, ttl: FAILED_MS });

  constructor(private readonly deps: VariantDeps) {}

  /** One that was made; undefined where it was not. */
  find(blobId: string, name: string): Promise<VariantRow | undefined> {
    return variantOf(this.deps.db, blobId, name);
  }

  /**
   * The variant, which is made where it is not there; undefined where the file was deleted meanwhile. Throws UNAVAILABLE with `retryAfter` while too many
   * are being made, UnreadableError for a file that cannot be decoded, PicturesAwayError.
   */
  async get(original: Original, spec: KeptSpec): Promise<VariantRow | undefined> {
    const name = variantName(spec);
    const found = await this.find(original.blob_id, name);
    if (found !== undefined) return found;
    const key = `${original.blob_id} ${name}`;
    const failed = this.failed.get(original.blob_id);
    if (failed !== undefined) throw failed;
    let made = this.making.get(key);
    if (made === undefined) {
      made = this.make(original, name, spec).finally(() => this.making.delete(key));
      this.making.set(key, made);
    }
    return made;
  }

  /** Keeps what lies in the file `path` as a variant. Answers the one that is kept: another process's, if that came first. */
  async keep(blobId: string, name: string, path: string): Promise<VariantRow | undefined> {
    const { db } = this.deps;
    const hash = createHash('sha256');
    let size = 0;
    const bytes = async function* (): AsyncGenerator<Uint8Array> {
      for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
        hash.update(chunk);
        size += chunk.length;
        yield chunk;
      }
    };
    await underLease(this.deps, undefined, bytes(), async (storageKey) => {
      const row = { blob_id: blobId, name, storage_key: storageKey, size, sha256: hash.digest('hex') };
      const keep = await transaction(
        db,
        async (trx) => (await insertVariant(trx, row)) && (await redeemed(redeemLease(trx, storageKey))),
      );
      return { keep, value: undefined };
    });
    return this.find(blobId, name);
  }

  /** Its bytes are not there any more, by a store that lost them or was changed: it is made anew when it is asked for. */
  async forget(variant: VariantRow): Promise<void> {
    await transaction(this.deps.db, (trx) => dropVariant(trx, variant.storage_key));
  }

  private async make(original: Original, name: string, spec: KeptSpec): Promise<VariantRow | undefined> {
    const { pictures, workshop, sweeper } = this.deps;
    try {
      const row = await pictures.inTurn(original.uploader_id, (make) =>
        workshop.with(original, MAX_PICTURE_BYTES, async (path, folder) => {
          const target = join(folder, 'variant');
          await make(path, target, spec);
          return this.keep(original.blob_id, name, target);
        }),
      );
      counts.variants.made += 1;
      // One that had to go for it goes now.
      sweeper.sweepSoon();
      return row;
    } catch (error) {
      if (error instanceof MissingBytesError) return undefined;
      counts.variants[error instanceof ParleyError && error.code === 'UNAVAILABLE' ? 'refused' : 'failed'] +=
        1;
      if (error instanceof UnreadableError) this.failed.set(original.blob_id, error);
      throw error;
    }
  }
}

/** A lease that has run out undoes the transaction: the bytes may be half deleted. */
async function redeemed(redeeming: Promise<boolean>): Promise<true> {
  if (await redeeming) return true;
  throw new Error('a variant took longer to be stored than its lease');
}
