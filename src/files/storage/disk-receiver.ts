import { constants } from 'node:fs';
import { open, rename, stat, type FileHandle } from 'node:fs/promises';
import { newStorageKey } from './storage.js';
import {
  makeFolderOf,
  noRoomFor,
  partOf,
  pathOf,
  READ_BUFFER,
  syncFolderOf,
  unlessMissing,
  writeAll,
} from './disk-files.js';
import {
  MissingBytesError,
  WrongChecksumError,
  type Incoming,
  type Ledger,
  type ReceivedPart,
  type Receiver,
  type Receiving,
} from './receiver.js';

/** Bytes written in one call. */
const WRITE_BUFFER = 1024 * 1024;
/** Bytes, or milliseconds, after which what was written is made durable and written down: as much is sent again after a crash. */
const COMMIT_BYTES = 8 * 1024 * 1024;
const COMMIT_MS = 3000;

/**
 * Writes to `<key>.part` in the folder of DiskStorage, which becomes `<key>` once it is complete. A writer goes on in the piece of the one before when
 * that let go of its lock; behind one that did not, and may still write, it begins another piece: so a late write reaches nothing that counts.
 */
export class DiskReceiver implements Receiver {
  constructor(private readonly root: string) {}

  async receive(
    upload: Receiving,
    last: ReceivedPart | undefined,
    ledger: Ledger,
    incoming: Incoming,
  ): Promise<number> {
    const { next_part, received } = upload;
    const piece = last?.number === next_part ? last : await this.begin(upload, ledger);
    const handle = await this.openPiece(piece).catch(noRoomFor);
    const writer = new PieceWriter(handle, piece, received, ledger);
    try {
      return await writer.take(incoming).catch(noRoomFor);
    } finally {
      await handle.close();
    }
  }

  async join(upload: Receiving, parts: readonly ReceivedPart[]): Promise<string | undefined> {
    const full = parts.filter(({ size }) => size > 0);
    const [only] = full;
    if (only?.storage_key == null || full.length > 1) return undefined;
    const path = pathOf(this.root, only.storage_key);
    const handle = await open(partOf(path), 'r+').catch(unlessMissing);
    if (handle !== undefined) {
      try {
        if ((await handle.stat()).size < upload.size) throw missing(only);
        await handle.truncate(upload.size);
        await handle.sync();
      } finally {
        await handle.close();
      }
      await rename(partOf(path), path);
      await syncFolderOf(path);
    } else if ((await stat(path).catch(unlessMissing))?.size !== upload.size) {
      throw missing(only);
    }
    return only.storage_key;
  }

  async *read(parts: readonly ReceivedPart[]): AsyncGenerator<Uint8Array> {
    for (const part of parts) {
      if (part.size === 0) continue;
      const handle = await open(partOf(pathOf(this.root, part.storage_key ?? '')), 'r').catch(unlessMissing);
      if (handle === undefined) throw missing(part);
      let left = part.size;
      for await (const chunk of handle.createReadStream({ end: part.size - 1, highWaterMark: READ_BUFFER })) {
        left -= (chunk as Buffer).length;
        yield chunk as Buffer;
      }
      if (left > 0) throw missing(part);
    }
  }

  private async begin(
    { next_part, received, storage_key }: Receiving,
    ledger: Ledger,
  ): Promise<ReceivedPart> {
    const key = next_part === 0 ? storage_key : newStorageKey();
    if (next_part > 0) await ledger.lease(key);
    const piece = { number: next_part, size: 0, storage_key: key, etag: null };
    await ledger.commit({ received, parts: [piece] });
    return piece;
  }

  /** Cut to what counts of it. */
  private async openPiece({ storage_key, size }: ReceivedPart): Promise<FileHandle> {
    const path = pathOf(this.root, storage_key ?? '');
    const isNew = size === 0;
    if (isNew) await makeFolderOf(this.root, path);
    const handle = await open(partOf(path), constants.O_RDWR | (isNew ? constants.O_CREAT : 0));
    try {
      if ((await handle.stat()).size < size) throw new MissingBytesError(`${path}.part was cut short`);
      await handle.truncate(size);
      if (isNew) await syncFolderOf(path);
      return handle;
    } catch (error) {
      await handle.close();
      throw error;
    }
  }
}

/** Writes the bytes of one request to the end of a piece. */
class PieceWriter {
  private gathered: Uint8Array[] = [];
  private gatheredBytes = 0;
  /** Bytes of the piece that were written, and that are written down. */
  private written: number;
  private committed: number;
  private committedAt = performance.now();
  /** Bytes of the upload before this piece. */
  private readonly start: number;

  constructor(
    private readonly handle: FileHandle,
    private readonly piece: ReceivedPart,
    received: number,
    private readonly ledger: Ledger,
  ) {
    this.written = piece.size;
    this.committed = piece.size;
    this.start = received - piece.size;
  }

  async take({ bytes, verify }: Incoming): Promise<number> {
    let broken: { readonly error: unknown } | undefined;
    try {
      for await (const chunk of bytes) {
        this.gathered.push(chunk);
        this.gatheredBytes += chunk.length;
        if (this.gatheredBytes >= WRITE_BUFFER) await this.write();
        if (verify === undefined && this.isDue()) await this.commit();
      }
    } catch (error) {
      broken = { error };
    }
    if (verify !== undefined && (broken !== undefined || !verify())) {
      await this.handle.truncate(this.committed);
      throw broken === undefined ? new WrongChecksumError() : broken.error;
    }
    await this.commit();
    if (broken !== undefined) throw broken.error;
    return this.start + this.written;
  }

  private isDue(): boolean {
    const open = this.written + this.gatheredBytes - this.committed;
    return open >= COMMIT_BYTES || (open > 0 && performance.now() - this.committedAt > COMMIT_MS);
  }

  private async write(): Promise<void> {
    const { gathered, gatheredBytes } = this;
    this.gathered = [];
    this.gatheredBytes = 0;
    await writeAll(this.handle, gathered, this.written);
    this.written += gatheredBytes;
  }

  private async commit(): Promise<void> {
    await this.write();
    if (this.written > this.committed) {
      await this.handle.datasync();
      await this.ledger.commit({
        received: this.start + this.written,
        parts: [{ ...this.piece, size: this.written }],
      });
      this.committed = this.written;
    }
    this.committedAt = performance.now();
  }
}

const missing = ({ storage_key }: ReceivedPart): MissingBytesError =>
  new MissingBytesError(`bytes under the key ${storage_key ?? ''} are missing`);
