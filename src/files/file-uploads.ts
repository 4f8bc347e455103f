import type { Database, Trx } from '../db/database.js';
import { claimKey, firstCalls, recordOutcome, type IdempotentCall } from '../db/idempotency.js';
import { newId } from '../db/ids.js';
import { badInput, forbidden, notFound, type ParleyError } from '../errors.js';
import type { Bus } from '../events/bus.js';
import { addJob } from '../jobs/jobs.queries.js';
import { nameKey } from '../names.js';
import { writeInRoom, type RoomWrite } from '../rooms/room-write.js';
import { canSee, canWrite } from '../rooms/rooms.policy.js';
import { membershipOf, roomsByIds } from '../rooms/rooms.queries.js';
import { holdBlob, type HeldBlob } from './blobs.queries.js';
import { lostTwin } from './lost-twin.js';
import { safeName } from './file-name.js';
import { insertFile } from './files.queries.js';
import { incomplete, type ArrivedFile, type IncomingFile } from './incoming-file.js';
import type { LeaseSweeper } from './lease-sweeper.js';
import { mediaKindOf } from './processing/media-kinds.js';
import { takeIn, type Decided, type StoredFile, type UploadDeps } from './uploads.js';
import { allowanceFor, charge, fitting, type Owners, type Quotas } from './quotas.js';
import { redeemLease } from './upload-leases.queries.js';
import { lockUsage } from './usage.queries.js';

export interface FileUploadsDeps extends UploadDeps {
  readonly db: Database;
  readonly bus: Bus;
  readonly sweeper: LeaseSweeper;
  readonly quotas: Quotas;
  /** Has jobs looked for that were asked for. */
  readonly wakeJobs: () => void;
}

/** What a write answers: the file, and the place in the log of what was written. */
export interface FileWritten {
  readonly fileId: string;
  readonly eventCursor: string;
}

/** What became of one file of many: stored, or refused for `error`. */
export type UploadOutcome = FileWritten | { readonly name: string; readonly error: unknown };

/** Files on their way into a room. `actorId` is the signed-in user. */
export class FileUploads {
  constructor(private readonly deps: FileUploadsDeps) {}

  /**
   * Takes one file in and shows it to the room. With a key, the same key, room, name and bytes answer the first outcome.
   * Throws NOT_FOUND and FORBIDDEN before a byte is read, CONFLICT, and what `takeIn` (uploads.ts) throws.
   */
  async one(
    actorId: string,
    { roomId, file, idempotencyKey }: { roomId: string; file: IncomingFile; idempotencyKey: string | null },
  ): Promise<FileWritten> {
    await this.mayUpload(actorId, roomId);
    const call =
      idempotencyKey === null ? undefined : { userId: actorId, mutation: 'uploadFile', key: idempotencyKey };
    return file.receive((arrived) => this.store(actorId, roomId, arrived, call));
  }

  /**
   * The same for several files, which come into the log in the order in which they arrive, and are answered in the order
   * asked. What is wrong with one concerns that one only. The key stands for each file together with its index, so that sending all of them again
   * stores those that failed, and answers the first outcome for the others.
   */
  async many(
    actorId: string,
    {
      roomId,
      files,
      idempotencyKey,
    }: { roomId: string; files: readonly IncomingFile[]; idempotencyKey: string | null },
  ): Promise<UploadOutcome[]> {
    if (files.length === 0) throw badInput('input.files', 'Send at least one file.');
    await this.mayUpload(actorId, roomId);
    const begun: Promise<unknown>[] = [];
    // All are asked for before the first one is waited for, so any order of the parts will do.
    return Promise.all(
      files.map(async (file, index) => {
        let name = '';
        try {
          return await file.receive((arrived) => {
            name = safeName(arrived.name);
            const key = `${idempotencyKey ?? ''}:${String(index)}`;
            const call =
              idempotencyKey === null ? undefined : { userId: actorId, mutation: 'uploadFiles', key };
            // One streams while the one before it is made durable, but is shown after it. No third one begins: each counts among those
            // that their user has under way.
            const [beforeLast, last] = [begun.at(-2), begun.at(-1)];
            const stored = Promise.resolve(beforeLast).then(() =>
              this.store(actorId, roomId, arrived, call, last),
            );
            begun.push(stored.catch(() => undefined));
            return stored;
          });
        } catch (error) {
          return { name, error };
        }
      }),
    );
  }

  /**
   * Before the first byte is read, so that whoever may not upload fills no disk. Decided again under the room's lock, in the transaction `db`. Throws
   * NOT_FOUND and FORBIDDEN.
   */
  async mayUpload(actorId: string, roomId: string, db: Database | Trx = this.deps.db): Promise<void> {
    const membership = await membershipOf(db, roomId, actorId);
    if (canWrite(membership?.role)) return;
    const [room] = await roomsByIds(db, [roomId]);
    if (room === undefined || !canSee(room, membership?.role)) throw notFound('The room');
    throw notMember();
  }

  /** `turn`: settles when the file may be shown. */
  private async store(
    actorId: string,
    roomId: string,
    arrived: ArrivedFile,
    call: Call | undefined,
    turn?: Promise<unknown>,
  ): Promise<FileWritten> {
    const owners = { userId: actorId, roomId };
    const bytes = (await this.hasOutcome(call)) ? arrived.bytes : await this.thatFit(arrived.bytes, owners);
    return takeIn(this.deps, owners, { ...arrived, bytes }, async (stored) => {
      await turn;
      return this.show(actorId, roomId, stored, call);
    });
  }

  /** Refused as soon as it is known, so that what does not fit fills no disk. */
  private async thatFit(
    bytes: AsyncIterable<Uint8Array>,
    owners: Owners,
  ): Promise<AsyncIterable<Uint8Array>> {
    return fitting(bytes, await allowanceFor(this.deps.db, this.deps.quotas, owners));
  }

  /** Whether it may be a repetition, which takes up no room. */
  private async hasOutcome(call: Call | undefined): Promise<boolean> {
    return call !== undefined && (await firstCalls(this.deps.db, call.mutation, [call])).size > 0;
  }

  /**
   * The last step: key, lease, quota, blob, row, the job that looks at it, and event in one transaction. Where a blob has the same content already, the file shares it, and the
   * sweeper takes the bytes that came. `upload`: the upload over several requests that it came by, and what else is written of it.
   */
  async show(
    actorId: string,
    roomId: string,
    stored: StoredFile,
    call: Call | undefined,
    upload?: { readonly id: string; record(trx: Trx, written: FileWritten): Promise<void> },
  ): Promise<Decided<FileWritten>> {
    const { storageKey, name, mimeType, charset, size, sha256 } = stored;
    const lost = await lostTwin(this.deps, stored);
    let blob: HeldBlob | undefined;
    const work = async (write: RoomWrite): Promise<Decided<FileWritten>> => {
      if (!canWrite(write.role)) throw notMember();
      const keyed = call && { ...call, input: { roomId, name, size, sha256 } };
      const first = keyed && (await claimKey<FileWritten>(write.trx, keyed));
      if (first !== undefined) return { keep: false, value: first };
      if (!(await redeemLease(write.trx, storageKey))) {
        throw incomplete('The upload was interrupted on the server: send the file again.');
      }
      await charge(write.trx, this.deps.quotas, { userId: actorId, roomId }, size, upload?.id);
      const fileId = newId();
      const place = await write.take({ files: 1 });
      blob = await holdBlob(write.trx, stored, lost);
      await insertFile(write.trx, {
        id: fileId,
        room_id: roomId,
        seq: place.seq,
        uploader_id: actorId,
        name,
        name_key: nameKey(name),
        mime_type: mimeType,
        charset,
        size,
        sha256,
        blob_id: blob.id,
        created_at: place.at,
        deleted_at: null,
      });
      const media = mediaKindOf(mimeType);
      if (media !== undefined) await addJob(write.trx, media, fileId, actorId);
      const eventCursor = await write.append(place, {
        kind: 'FILE_ADDED',
        actor_id: actorId,
        file_id: fileId,
      });
      const value = { fileId, eventCursor };
      if (keyed !== undefined) await recordOutcome(write.trx, keyed, value);
      await upload?.record(write.trx, value);
      return { keep: true, value };
    };
    const lockFirst = (trx: Trx): Promise<void> => lockUsage(trx, actorId);
    const decided = await writeInRoom(this.deps, actorId, roomId, work, { lockFirst });
    if (blob?.leavesBytes === true) this.deps.sweeper.sweepLater();
    if (decided.keep) this.deps.wakeJobs();
    return decided;
  }
}

type Call = Pick<IdempotentCall, 'userId' | 'mutation' | 'key'>;

const notMember = (): ParleyError => forbidden('Only members can upload to a room: join it first.');
