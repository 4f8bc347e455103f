import { DataStore, ERRORS, Upload } from '@tus/server';
import type { Readable } from 'node:stream';
import type { Database } from '../../db/database.js';
import { ParleyError } from '../../errors.js';
import { chunksOf } from '../chunks.js';
import { WrongChecksumError, type Ledger, type Receiver } from '../storage/receiver.js';
import type { UploadChecksum } from './upload-checksum.js';
import type { UploadLock } from './upload-locks.js';
import {
  cancelUpload,
  commitProgress,
  findUpload,
  lastPartOf,
  leaseFor,
  reservePart,
  UPLOAD_EXPIRY_MS,
  type FoundUpload,
} from './upload-sessions.queries.js';

export interface StoreDeps {
  readonly db: Database;
  readonly receiver: Receiver;
  /** Called when an upload is complete, and a job waits. */
  readonly completed: () => void;
  /** Called when bytes are left to the sweeper. */
  readonly discarded: () => void;
}

/** What a client is told, as @tus/server takes it from what is thrown. */
export class SaidError extends Error {
  override readonly name = 'SaidError';
  readonly status_code: number;
  readonly body: string;

  constructor(said: { readonly status_code: number; readonly body: string }) {
    super(said.body);
    this.status_code = said.status_code;
    this.body = said.body;
  }
}

/** Of what tus adds to its core; uploads are made by a mutation. */
const EXTENSIONS = ['expiration', 'termination', 'checksum'];

/**
 * Uploads as @tus/server sees them, for one request. The library speaks the protocol; what it asks for is done here, with the promises that
 * storage and leases make: of its own stores none knows leases, or writers that were taken for dead.
 */
export class UploadStore extends DataStore {
  override extensions = EXTENSIONS;
  /** When the upload runs out that was asked for last, by the database's clock. */
  expiresAt: Date | undefined;
  private writing: Promise<unknown> = Promise.resolve();

  /** `lock`: the one that the request has taken by then. `checksum`: what its bytes are held against. */
  constructor(
    private readonly deps: StoreDeps,
    private readonly lock: () => UploadLock,
    private readonly checksum: UploadChecksum | undefined,
  ) {
    super();
  }

  override getExpiration(): number {
    return UPLOAD_EXPIRY_MS;
  }

  override async getUpload(id: string): Promise<Upload> {
    const row = await this.find(id);
    this.expiresAt = row.expires_at;
    return new Upload({
      id,
      size: row.size,
      offset: row.received,
      // The library judges by this process's clock, and the database's has been asked: so it is never late. One that is complete does
      // not expire.
      ...(row.state === 'RECEIVING' && { creation_date: new Date().toISOString() }),
    });
  }

  /** Resolves when nothing is being written. The library gives up on a request that broke off while its last bytes are still on their way. */
  async settled(): Promise<void> {
    await this.writing.catch(() => undefined);
  }

  override write(stream: Readable, id: string, offset: number): Promise<number> {
    const writing = this.append(stream, id, offset);
    this.writing = writing;
    return writing;
  }

  private async append(stream: Readable, id: string, offset: number): Promise<number> {
    const { receiver, completed } = this.deps;
    const row = await this.find(id);
    if (row.state !== 'RECEIVING' || row.received !== offset) return row.received;
    const { checksum } = this;
    const bytes = chunksOf(stream);
    const incoming = {
      bytes: checksum === undefined ? bytes : checksum.over(bytes),
      verify: checksum?.verify,
    };
    const last = await lastPartOf(this.deps.db, id);
    const received = await receiver.receive(row, last, this.ledger(id), incoming).catch((error: unknown) => {
      throw error instanceof WrongChecksumError ? new SaidError(CHECKSUM_MISMATCH) : error;
    });
    if (received === row.size) completed();
    return received;
  }

  /** When an upload that is not complete expires; undefined for any other. */
  async expiryOf(id: string): Promise<Date | undefined> {
    const row = await this.find(id).catch(() => undefined);
    return row?.state === 'RECEIVING' ? row.expires_at : undefined;
  }

  /** Of one that is complete nothing is left to end: its file is deleted as any other is. */
  override async remove(id: string): Promise<void> {
    const row = await this.find(id);
    if (row.state !== 'RECEIVING') return;
    if (!(await cancelUpload(this.deps.db, { id, fence: this.lock().fence }))) throw interrupted();
    this.deps.discarded();
  }

  private async find(id: string): Promise<FoundUpload> {
    const row = await findUpload(this.deps.db, id);
    if (row === undefined || row.is_direct) throw new SaidError(ERRORS.FILE_NOT_FOUND);
    if (row.state === 'REFUSED' || (row.state === 'RECEIVING' && row.has_expired))
      throw new SaidError(ERRORS.FILE_NO_LONGER_EXISTS);
    return row;
  }

  private ledger(id: string): Ledger {
    const { db } = this.deps;
    const writer = { id, fence: this.lock().fence };
    return {
      lease: async (storageKey) => {
        if (!(await leaseFor(db, writer, storageKey))) throw interrupted();
      },
      reservePart: async () => {
        const number = await reservePart(db, writer);
        if (number === undefined) throw interrupted();
        return number;
      },
      commit: async (progress) => {
        if (!(await commitProgress(db, writer, progress))) throw interrupted();
      },
    };
  }
}

/** As the extension has it. */
const CHECKSUM_MISMATCH = { status_code: 460, body: 'Checksum Mismatch\n' };

const interrupted = (): ParleyError =>
  new ParleyError(
    'UPLOAD_INCOMPLETE',
    'Another request has continued this upload, or it has ended: ask for its offset.',
  );
