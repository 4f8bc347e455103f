import type { Now } from '../../db/clock.js';
import { transaction, type Database } from '../../db/database.js';
import { claimKey, recordOutcome } from '../../db/idempotency.js';
import { newId } from '../../db/ids.js';
import { badInput, conflict, notFound, ParleyError } from '../../errors.js';
import { safeName } from '../file-name.js';
import type { FileUploads } from '../file-uploads.js';
import type { LeaseSweeper } from '../lease-sweeper.js';
import { allowanceFor, type Quotas } from '../quotas.js';
import { lockUsage } from '../usage.queries.js';
import { lockRoom } from '../../rooms/rooms.queries.js';
import { PartPlan, type DirectStore } from '../storage/direct.js';
import { newStorageKey } from '../storage/storage.js';
import { tooLarge, type UploadLimits } from '../uploads.js';
import type { UploadLock, UploadLocks } from './upload-locks.js';
import * as queries from './upload-sessions.queries.js';
import type { UploadToken, UploadTokens } from './upload-tokens.js';

/** Uploads of one user that are not over. */
const MAX_OPEN = 50;
/** Addresses of parts that are given out at once, and the seconds that each is good for. */
const MAX_SIGNED = 100;
const SIGNED_SECONDS = 3600;

export interface UploadSessionsDeps {
  readonly db: Database;
  readonly uploads: FileUploads;
  readonly locks: UploadLocks;
  /** The database's clock. */
  readonly now: Now;
  readonly tokens: UploadTokens;
  readonly sweeper: LeaseSweeper;
  readonly limits: UploadLimits;
  readonly quotas: Quotas;
  /** Undefined where there is no bucket. */
  readonly direct: DirectStore | undefined;
  /** Called when an upload is complete, and a job waits. */
  readonly completed: () => void;
  /** Answers the absolute base of addresses, without a slash at its end. */
  readonly publicUrl: () => string;
}

/** What a client says of a file that it is going to send. */
export interface AnnouncedFile {
  readonly roomId: string;
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  readonly mimeType: string;
  readonly idempotencyKey: string | null;
}

/** A part of a direct upload, and where it is sent. */
export interface PartAddress {
  readonly number: number;
  /** Bytes, exactly. */
  readonly size: number;
  readonly url: string;
  readonly expiresAt: Date;
}

/** Uploads over several requests, but for their bytes: how they begin, what became of them. `actorId` is the signed-in user. */
export class UploadSessions {
  constructor(private readonly deps: UploadSessionsDeps) {}

  /**
   * Begins an upload that is sent by tus. With a key, the same key and input answer the same upload. Throws NOT_FOUND, FORBIDDEN, BAD_USER_INPUT,
   * FILE_TOO_LARGE, QUOTA_EXCEEDED for too many that are open, and CONFLICT.
   */
  create(actorId: string, announced: AnnouncedFile): Promise<queries.FoundUpload> {
    return this.begin(actorId, announced, 'createUpload');
  }

  /** The same for one whose parts the client sends to the bucket itself. Throws BAD_REQUEST where there is none. */
  async createDirect(actorId: string, announced: AnnouncedFile): Promise<queries.FoundUpload> {
    const { db, direct } = this.deps;
    if (direct === undefined) throw noBucket();
    const upload = await this.begin(actorId, announced, 'createDirectUpload');
    if (upload.state !== 'RECEIVING' || upload.has_expired || upload.multipart_id !== null) return upload;
    await queries.setMultipart(db, upload.id, await direct.open(upload.storage_key));
    return (await this.find(actorId, upload.id)) ?? upload;
  }

  private async begin(
    actorId: string,
    announced: AnnouncedFile,
    mutation: 'createUpload' | 'createDirectUpload',
  ): Promise<queries.FoundUpload> {
    const { db, limits, quotas, uploads } = this.deps;
    const { roomId, size, mimeType, idempotencyKey } = announced;
    if (size <= 0) throw badInput('input.size', 'A file must have at least 1 byte.');
    if (size > limits.maxBytes) throw tooLarge(limits.maxBytes);
    await uploads.mayUpload(actorId, roomId);
    const name = safeName(announced.name);
    const call =
      idempotencyKey === null
        ? undefined
        : { userId: actorId, mutation, key: idempotencyKey, input: { roomId, name, size, mimeType } };
    const id = await transaction(db, async (trx) => {
      const first = call && (await claimKey<{ uploadId: string }>(trx, call));
      if (first !== undefined) return first.uploadId;
      // The order of locks is the same everywhere. Under them nothing else is let in, and the room stays.
      await lockUsage(trx, actorId);
      await lockRoom(trx, roomId);
      await uploads.mayUpload(actorId, roomId, trx);
      const allowance = await allowanceFor(trx, quotas, { userId: actorId, roomId });
      if (size > allowance.bytes) throw allowance.refusal;
      if ((await queries.countOpenUploads(trx, actorId)) >= MAX_OPEN) throw tooMany();
      const uploadId = newId();
      await queries.insertUpload(trx, {
        id: uploadId,
        user_id: actorId,
        room_id: roomId,
        name,
        claimed_type: mimeType,
        size,
        is_direct: mutation === 'createDirectUpload',
        storage_key: newStorageKey(),
      });
      if (call !== undefined) await recordOutcome(trx, call, { uploadId });
      return uploadId;
    });
    const upload = await this.find(actorId, id);
    if (upload === undefined) throw notFound('The upload of this idempotency key');
    return upload;
  }

  /**
   * Where parts of a direct upload are sent, each by one PUT, for an hour. `numbers`: from 1 on; the first ones when left out. Throws BAD_USER_INPUT for
   * numbers that it has not, and for too many.
   */
  async parts(upload: queries.FoundUpload, numbers: readonly number[] | null): Promise<PartAddress[]> {
    const { direct } = this.deps;
    if (direct === undefined) throw noBucket();
    const plan = new PartPlan(upload.size);
    const wanted =
      numbers ?? Array.from({ length: Math.min(plan.count, MAX_SIGNED) }, (_, index) => index + 1);
    if (wanted.length > MAX_SIGNED)
      throw badInput('numbers', `\`numbers\` can name at most ${String(MAX_SIGNED)} parts.`);
    if (wanted.some((number) => number < 1 || number > plan.count))
      throw badInput('numbers', `Part numbers of this upload must be from 1 to ${String(plan.count)}.`);
    const expiresAt = new Date(this.deps.now() + SIGNED_SECONDS * 1000);
    return Promise.all(
      wanted.map(async (number) => {
        const part = { number, size: plan.sizeOf(number) };
        const id = upload.multipart_id ?? '';
        const url = await direct.partAddress(upload.storage_key, id, part, SIGNED_SECONDS);
        return { ...part, url, expiresAt };
      }),
    );
  }

  /**
   * Says that all parts of a direct upload are in the bucket: from then on it is processed like any other. Again for one that is complete already it answers
   * that. Throws NOT_FOUND, and BAD_USER_INPUT unless each part is named once.
   */
  async completeDirect(
    actorId: string,
    id: string,
    parts: readonly { readonly number: number; readonly etag: string }[],
  ): Promise<queries.FoundUpload> {
    const upload = await this.find(actorId, id);
    if (upload?.is_direct !== true) throw notFound('The upload');
    if (upload.state !== 'RECEIVING') return upload;
    const plan = new PartPlan(upload.size);
    const numbers = new Set(parts.map(({ number }) => number));
    const isWhole = numbers.size === plan.count && parts.length === plan.count;
    if (!isWhole || parts.some(({ number }) => number < 1 || number > plan.count))
      throw badInput('input.parts', `Name each of the parts 1 to ${String(plan.count)} exactly once.`);
    const rows = parts.map(({ number, etag }) => ({
      number,
      etag,
      size: plan.sizeOf(number),
      storage_key: null,
    }));
    await this.locked(id, (lock) =>
      queries.commitProgress(this.deps.db, lock, { received: upload.size, parts: rows }),
    );
    this.deps.completed();
    return (await this.find(actorId, id)) ?? upload;
  }

  /** Undefined for another's. */
  async find(actorId: string, id: string): Promise<queries.FoundUpload | undefined> {
    const upload = await queries.findUpload(this.deps.db, id);
    return upload?.user_id === actorId ? upload : undefined;
  }

  /**
   * Ends an upload that is not complete; nothing is left of it. Throws NOT_FOUND, and CONFLICT for one that is complete.
   */
  async cancel(actorId: string, id: string): Promise<void> {
    const { db, sweeper } = this.deps;
    if ((await this.find(actorId, id)) === undefined) throw notFound('The upload');
    if (!(await this.locked(id, (lock) => queries.cancelUpload(db, lock)))) {
      throw conflict(
        'input.uploadId',
        'This upload is complete or has ended, so it cannot be cancelled: to delete its file, use deleteFile.',
      );
    }
    sweeper.sweepSoon();
  }

  private async locked<T>(id: string, work: (lock: UploadLock) => Promise<T>): Promise<T> {
    const lock = await this.deps.locks.acquire(id, () => undefined);
    try {
      return await work(lock);
    } finally {
      await lock.release();
    }
  }

  /** A fresh token for the one upload. */
  token(id: string): UploadToken {
    return this.deps.tokens.sign(id);
  }

  /** Where it is sent to. `globalId`: its id as clients know it. */
  address(globalId: string): string {
    return `${this.deps.publicUrl()}/uploads/${globalId}`;
  }
}

const tooMany = (): ParleyError =>
  new ParleyError(
    'QUOTA_EXCEEDED',
    `You have ${String(MAX_OPEN)} unfinished uploads: finish or cancel some first.`,
  );

const noBucket = (): ParleyError =>
  new ParleyError('BAD_REQUEST', 'This server does not store files in a bucket: use createUpload.');
