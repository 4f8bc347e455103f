import { createHash } from 'node:crypto';
import type { Database } from '../db/database.js';
import { badInput, ParleyError } from '../errors.js';
import { counts } from '../observability/counts.js';
import type { Logger } from '../observability/logger.js';
import type { Clamd } from './clamd.js';
import { safeName } from './file-name.js';
import type { ArrivedFile } from './incoming-file.js';
import { letGo } from './chunks.js';
import { isAllowed, judgeMediaType, SAMPLE_BYTES, type FirstJudgement } from './media-type.js';
import type { Owners } from './quotas.js';
import { InfectedError, scanned } from './scanning.js';
import { isSilent, type Storage } from './storage/storage.js';
import { UploadLease, type Uploader } from './upload-lease.js';
import { deleteExpiredLease, expireLease } from './upload-leases.queries.js';

export interface UploadLimits {
  /** Bytes. */
  readonly maxBytes: number;
  /** Media types, `type/subtype` or `type/*`. */
  readonly allowedTypes: readonly string[];
  /** Uploads of one user that may be under way. */
  readonly atOnce: number;
}

interface StoreDeps {
  readonly db: Database;
  readonly storage: Storage;
  readonly logger: Logger;
}

export interface UploadDeps extends StoreDeps {
  /** Undefined: files are not scanned. */
  readonly scanner: Clamd | undefined;
  readonly limits: UploadLimits;
}

/** Bytes that lie in storage, whole and checked, and that nobody sees yet. */
export interface StoredFile {
  readonly storageKey: string;
  readonly name: string;
  readonly mimeType: string;
  /** The encoding of a text; null for other files. */
  readonly charset: string | null;
  readonly size: number;
  /** Hex. */
  readonly sha256: string;
}

/** What `work` found: `keep` tells whether its transaction took the lease over (redeemLease), and decided what becomes of the bytes. */
export interface Decided<T> {
  readonly keep: boolean;
  readonly value: T;
}

/**
 * Takes a file in: lease → stream → count → sniff → hash → scan → storage → `work`, which makes it visible in one transaction
 * with the lease redeemed. Whatever goes wrong, and when `work` does not keep the file, lease and bytes are removed
 * before this settles; after a crash the sweeper does it. Throws FILE_TOO_LARGE, FILE_TYPE_NOT_ALLOWED (both as soon
 * as it is known: the rest is not read), FILE_INFECTED,
 * RATE_LIMITED before the first byte, BAD_USER_INPUT for an empty file, UPLOAD_INCOMPLETE, UNAVAILABLE.
 */
export async function takeIn<T>(
  deps: UploadDeps,
  owners: Owners,
  file: ArrivedFile,
  work: (stored: StoredFile) => Promise<Decided<T>>,
): Promise<T> {
  counts.uploadsStarted += 1;
  try {
    const intake = new Intake(file, deps.limits);
    const uploader = { userId: owners.userId, atOnce: deps.limits.atOnce };
    const value = await underLease(deps, uploader, scannedIfAny(deps, intake), (storageKey) =>
      work({ storageKey, ...intake.result() }),
    ).catch((error: unknown) => {
      tellOfInfection(deps, owners, intake, error);
      throw error;
    });
    counts.uploadsStored += 1;
    return value;
  } catch (error) {
    countFailure(error);
    if (error instanceof ParleyError && error.code === 'UNAVAILABLE')
      deps.logger.warn({ err: error, ...owners }, 'a file could not be taken in');
    throw error;
  }
}

/**
 * The same for bytes that lie in storage already, whole and under a lease that is not this call's to keep: sniff → hash → scan → `work`. Nothing is
 * removed, whatever happens.
 */
export async function takeOver<T>(
  deps: UploadDeps,
  owners: Owners,
  storageKey: string,
  file: ArrivedFile,
  work: (stored: StoredFile) => Promise<T>,
): Promise<T> {
  counts.uploadsStarted += 1;
  try {
    const intake = new Intake(file, deps.limits);
    try {
      for await (const chunk of scannedIfAny(deps, intake)) letGo(chunk);
    } catch (error) {
      tellOfInfection(deps, owners, intake, error);
      throw error;
    }
    const value = await work({ storageKey, ...intake.result() });
    counts.uploadsStored += 1;
    return value;
  } catch (error) {
    countFailure(error);
    throw error;
  }
}

/**
 * Stores bytes under a lease, of a user's upload or of nobody's, and has `work` take it over. When it does not keep them, and whatever goes wrong, they are
 * removed before this settles, after a crash, or where the store is silent, by the sweeper.
 */
export async function underLease<T>(
  deps: StoreDeps,
  uploader: Uploader | undefined,
  bytes: AsyncIterable<Uint8Array>,
  work: (storageKey: string) => Promise<Decided<T>>,
): Promise<T> {
  const lease = await UploadLease.take(deps.db, uploader);
  const { storageKey } = lease;
  let [kept, silent] = [false, false];
  try {
    await deps.storage.write(storageKey, bytes, lease.signal).catch((error: unknown) => {
      silent = isSilent(error);
      throw lease.signal.aborted ? lease.signal.reason : error;
    });
    const { keep, value } = await work(storageKey);
    kept = keep;
    return value;
  } finally {
    lease.release();
    if (!kept) await discard(deps, storageKey, silent);
  }
}

const scannedIfAny = ({ scanner }: UploadDeps, intake: Intake): AsyncIterable<Uint8Array> =>
  scanner === undefined ? intake.checked() : scanned(scanner, intake.checked());

function tellOfInfection({ logger }: UploadDeps, owners: Owners, intake: Intake, error: unknown): void {
  if (!(error instanceof InfectedError)) return;
  logger.warn({ ...owners, found: error.found, file: intake.result() }, 'an infected file was refused');
}

function countFailure(error: unknown): void {
  const code = error instanceof ParleyError ? error.code : undefined;
  const refused = code === undefined ? undefined : counts.uploadsRefused[code];
  if (code === 'UPLOAD_INCOMPLETE') counts.uploadsAborted += 1;
  else if (code === undefined || refused === undefined) counts.uploadsFailed += 1;
  else counts.uploadsRefused[code] = refused + 1;
}

/**
 * Removes the bytes of a failed upload. The lease decides: where it is gone, the last transaction did commit although
 * its answer was lost, and the file stays. What fails here is left to the sweeper: the error that led here is
 * what counts. Where the store is silent the sweeper does all of it: the client has waited for the store already.
 */
async function discard(
  { db, storage, logger }: StoreDeps,
  storageKey: string,
  silent: boolean,
): Promise<void> {
  try {
    if (!(await expireLease(db, storageKey)) || silent) return;
    await storage.delete(storageKey);
    await deleteExpiredLease(db, storageKey);
  } catch (err) {
    logger.warn({ err, storageKey }, 'the bytes of a failed upload are left to the sweep');
  }
}

/** Counts, judges and hashes a file while it streams by. */
class Intake {
  private readonly name: string;
  private readonly hash = createHash('sha256');
  private size = 0;
  private judged: FirstJudgement | undefined;

  constructor(
    private readonly file: ArrivedFile,
    private readonly limits: UploadLimits,
  ) {
    this.name = safeName(file.name);
  }

  /**
   * The same bytes. The first ones are held back until the type is known, so that none of a refused type is stored. Of a type that only the end
   * shows, storage removes them again when this throws.
   */
  async *checked(): AsyncGenerator<Uint8Array, void, undefined> {
    let held: Uint8Array[] | undefined = [];
    for await (const chunk of this.file.bytes) {
      this.size += chunk.length;
      counts.uploadBytes += chunk.length;
      if (this.size > this.limits.maxBytes) throw tooLarge(this.limits.maxBytes);
      this.hash.update(chunk);
      if (held === undefined) {
        this.judged?.later?.add(chunk);
        yield chunk;
      } else {
        held.push(chunk);
        if (this.size >= SAMPLE_BYTES) {
          yield await this.judge(held, false);
          held = undefined;
        }
      }
    }
    if (this.size === 0)
      throw badInput('input.file', 'This file is empty: a file must have at least 1 byte.');
    if (held !== undefined) yield await this.judge(held, true);
    const settled = await this.judged?.later?.end();
    if (settled !== undefined) this.judged = settled;
    this.refuse([this.mimeType]);
  }

  /** Once all was read. */
  result(): Omit<StoredFile, 'storageKey'> {
    return {
      name: this.name,
      mimeType: this.mimeType,
      charset: this.judged?.charset ?? null,
      size: this.size,
      sha256: this.hash.digest('hex'),
    };
  }

  private get mimeType(): string {
    return this.judged?.type ?? '';
  }

  private async judge(held: readonly Uint8Array[], complete: boolean): Promise<Uint8Array> {
    const bytes = Buffer.concat(held);
    this.judged = await judgeMediaType({
      bytes: bytes.subarray(0, SAMPLE_BYTES),
      complete: complete && bytes.length <= SAMPLE_BYTES,
      name: this.name,
      claimedType: this.file.claimedType,
    });
    this.judged.later?.add(bytes.subarray(SAMPLE_BYTES));
    this.refuse([this.mimeType, ...(this.judged.later?.possible ?? [])]);
    return bytes;
  }

  /** Throws FILE_TYPE_NOT_ALLOWED unless the file may be one of these types. */
  private refuse(types: readonly string[]): void {
    if (!types.some((type) => isAllowed(type, this.limits.allowedTypes))) throw notAllowed(this.mimeType);
  }
}

/** A file has, or would have, more bytes than one may have. */
export const tooLarge = (maxBytes: number): ParleyError =>
  new ParleyError('FILE_TOO_LARGE', `A file can have at most ${String(maxBytes)} bytes.`);

const notAllowed = (mimeType: string): ParleyError =>
  new ParleyError(
    'FILE_TYPE_NOT_ALLOWED',
    `Judged by its content, this file is ${mimeType}, which this server does not accept.`,
  );
