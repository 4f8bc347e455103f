import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  PutObjectCommand,
  UploadPartCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { buffer } from 'node:stream/consumers';
import { joined } from '../chunks.js';
import {
  MissingBytesError,
  WrongChecksumError,
  type Incoming,
  type Ledger,
  type ReceivedPart,
  type Receiver,
  type Receiving,
} from './receiver.js';
import type { ObjectName } from './s3-upload.js';
import { newStorageKey, type Storage } from './storage.js';

/** What a receiver takes of the bucket. */
export interface Bucket extends Pick<Storage, 'size' | 'read'> {
  readonly client: S3Client;
  nameOf(key: string): ObjectName;
  /** Ids of multipart uploads of the key that are open. */
  openUploadsOf(key: string): Promise<string[]>;
  /** Turns what the client throws into what Storage throws. */
  explained(error: unknown): unknown;
}

/**
 * Parts of a multipart upload, all of `partBytes` but the last. What came behind the last part, too little for another, is an object of its own, the
 * tail, which the next request begins with. Numbers of parts are never used twice, so that a late request reaches none that counts. Memory: two parts.
 */
export class S3Receiver implements Receiver {
  constructor(
    private readonly bucket: Bucket,
    private readonly partBytes: number,
  ) {}

  async receive(
    upload: Receiving,
    _last: ReceivedPart | undefined,
    ledger: Ledger,
    incoming: Incoming,
  ): Promise<number> {
    try {
      const tail = upload.tail_key === null ? Buffer.alloc(0) : await this.tailOf(upload.tail_key);
      return await new PartWriter(this.bucket, this.partBytes, upload, tail, ledger).take(incoming);
    } catch (error) {
      throw this.bucket.explained(error);
    }
  }

  async join(upload: Receiving, parts: readonly ReceivedPart[]): Promise<string> {
    const { storage_key, size, multipart_id } = upload;
    const found = await this.bucket.size(storage_key);
    if (found === undefined && multipart_id !== null) await this.complete(storage_key, multipart_id, parts);
    const joined = found ?? (await this.bucket.size(storage_key));
    if (joined !== size)
      throw new MissingBytesError(`${String(joined)} of ${String(size)} bytes under ${storage_key}`);
    // Of writers that did not know of each other.
    for (const UploadId of await this.bucket.openUploadsOf(storage_key)) {
      const command = new AbortMultipartUploadCommand({ ...this.bucket.nameOf(storage_key), UploadId });
      await this.bucket.client.send(command).catch(() => undefined);
    }
    return storage_key;
  }

  read(): never {
    throw new Error('the bytes of an upload are one object in a bucket');
  }

  private async complete(key: string, UploadId: string, parts: readonly ReceivedPart[]): Promise<void> {
    const Parts = parts.map(({ number, etag }) => ({ PartNumber: number, ETag: etag ?? undefined }));
    try {
      await this.bucket.client.send(
        new CompleteMultipartUploadCommand({
          ...this.bucket.nameOf(key),
          UploadId,
          MultipartUpload: { Parts },
        }),
      );
    } catch (error) {
      const name = error instanceof Error ? error.name : '';
      // Perhaps another process has completed it just now: the object tells.
      if (name === 'NoSuchUpload') return;
      // These are not mended by trying again.
      if (/^(InvalidPart|InvalidPartOrder|EntityTooSmall)$/.test(name))
        throw new MissingBytesError(`parts under ${key} do not join: ${name}`, { cause: error });
      throw this.bucket.explained(error);
    }
  }

  private async tailOf(key: string): Promise<Buffer> {
    const bytes = await this.bucket.read(key);
    if (bytes === undefined) throw new MissingBytesError(`the tail under ${key} is missing`);
    return buffer(bytes);
  }
}

/** Writes the bytes of one request. */
class PartWriter {
  private gathered: Uint8Array[];
  private gatheredBytes: number;
  /** Bytes of the upload that lie in parts. */
  private inParts: number;
  private multipartId: string | null;
  private tailKey: string | null;
  private sending: Promise<void> = Promise.resolve();
  /** Parts that are not written down before all bytes are verified. */
  private readonly held: ReceivedPart[] = [];
  private isHeld = false;

  constructor(
    private readonly bucket: Bucket,
    private readonly partBytes: number,
    private readonly upload: Receiving,
    tail: Buffer,
    private readonly ledger: Ledger,
  ) {
    this.gathered = [tail];
    this.gatheredBytes = tail.length;
    this.inParts = upload.received - tail.length;
    this.multipartId = upload.multipart_id;
    this.tailKey = upload.tail_key;
  }

  async take({ bytes, verify }: Incoming): Promise<number> {
    this.isHeld = verify !== undefined;
    let broken: { readonly error: unknown } | undefined;
    try {
      broken = await this.gather(bytes);
      if (this.isHeld && (broken !== undefined || verify?.() === false)) {
        throw broken === undefined ? new WrongChecksumError() : broken.error;
      }
      await this.keep();
      if (broken !== undefined) throw broken.error;
      return this.inParts + this.gatheredBytes;
    } finally {
      // Whatever ended this, nothing may arrive behind it.
      await this.sending.catch(() => undefined);
    }
  }

  /** Sends a part while the next one is gathered. Answers what broke the bytes off; what storage says is thrown. */
  private async gather(bytes: AsyncIterable<Uint8Array>): Promise<{ error: unknown } | undefined> {
    const source = bytes[Symbol.asyncIterator]();
    for (;;) {
      const next = await source.next().catch((error: unknown) => ({ broken: { error } }));
      if ('broken' in next) return next.broken;
      if (next.done === true) return undefined;
      let rest = next.value;
      // The last part is sent at the end, and is never empty.
      while (this.gatheredBytes + rest.length > this.partBytes) {
        const fits = this.partBytes - this.gatheredBytes;
        this.add(rest.subarray(0, fits));
        rest = rest.subarray(fits);
        await this.send();
      }
      this.add(rest);
    }
  }

  private add(bytes: Uint8Array): void {
    this.gathered.push(bytes);
    this.gatheredBytes += bytes.length;
  }

  private drained(): Buffer {
    const bytes = joined(this.gathered);
    this.gathered = [];
    this.gatheredBytes = 0;
    return bytes;
  }

  /** Sends what is gathered as a part, once the one before has arrived. */
  private async send(): Promise<void> {
    const body = this.drained();
    await this.sending;
    this.multipartId ??= await this.create();
    const number = await this.ledger.reservePart();
    this.sending = this.sendPart(number, body);
    // It is awaited before the next one; until then its failure has been seen.
    this.sending.catch(() => undefined);
  }

  private async create(): Promise<string> {
    const name = this.bucket.nameOf(this.upload.storage_key);
    const { UploadId = '' } = await this.bucket.client.send(new CreateMultipartUploadCommand(name));
    await this.ledger.commit({ received: this.upload.received, multipart_id: UploadId });
    return UploadId;
  }

  private async sendPart(number: number, Body: Buffer): Promise<void> {
    const { ETag = '' } = await this.bucket.client.send(
      new UploadPartCommand({
        ...this.bucket.nameOf(this.upload.storage_key),
        UploadId: this.multipartId ?? undefined,
        PartNumber: number,
        Body,
      }),
    );
    this.inParts += Body.length;
    const part = { number, size: Body.length, etag: ETag, storage_key: null };
    this.tailKey = null;
    if (this.isHeld) this.held.push(part);
    else await this.ledger.commit({ received: this.inParts, parts: [part], tail_key: null });
  }

  /** Keeps what is not a whole part: as the last one, as the whole object, or as the tail. */
  private async keep(): Promise<void> {
    await this.sending;
    const { size, storage_key, received } = this.upload;
    const all = this.inParts + this.gatheredBytes;
    const isComplete = all === size;
    if (isComplete && this.multipartId !== null) {
      await this.send();
      await this.sending;
    } else if (isComplete) {
      await this.put(storage_key);
      await this.ledger.commit({ received: all, tail_key: null });
      return;
    } else if (this.gatheredBytes > 0 && all > received) {
      const tailKey = newStorageKey();
      await this.ledger.lease(tailKey);
      await this.put(tailKey);
      this.tailKey = tailKey;
      await this.ledger.commit({ received: all, tail_key: tailKey, parts: this.held });
      return;
    }
    if (this.held.length > 0)
      await this.ledger.commit({ received: all, tail_key: this.tailKey, parts: this.held });
  }

  private async put(key: string): Promise<void> {
    const Body = Buffer.concat(this.gathered);
    await this.bucket.client.send(new PutObjectCommand({ ...this.bucket.nameOf(key), Body }));
  }
}
