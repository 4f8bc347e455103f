import {
  AbortMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  paginateListObjectsV2,
  ListMultipartUploadsCommand,
  S3Client,
  S3ServiceException,
  UploadPartCommand,
  type MultipartUpload,
} from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import type { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { S3Place } from '../../config/config.js';
import type { Now } from '../../db/clock.js';
import { ParleyError } from '../../errors.js';
import { untilAborted } from '../chunks.js';
import type { DirectStore } from './direct.js';
import { layDownAt } from './lay-down.js';
import type { Receiver } from './receiver.js';
import { S3Receiver } from './s3-receiver.js';
import { uploadObject, type ObjectName } from './s3-upload.js';
import { agentsAgainstSilence } from './silent-sockets.js';
import {
  assertStorageKey,
  isSilent,
  isStorageKey,
  type ByteRange,
  type SaidOfBytes,
  type Storage,
} from './storage.js';

/** Bytes of a part; S3 takes none that is smaller, but for the last. */
const PART_BYTES = 5 * 1024 * 1024;
/** Parts of one object. */
const MAX_PARTS = 10_000;
const SPARE_PARTS = 1000;
/** Milliseconds for a connection, and without a byte either way until a request counts as failed. */
const CONNECT_MS = 5000;
const SILENCE_MS = 30_000;
/** Times that a request is sent, in all. */
const ATTEMPTS = 2;
/** Looks for uploads that are still open, while they are aborted. */
const LOOKS = 5;
/** A download that is read slowly holds its connection: few would keep others waiting. */
const MAX_SOCKETS = 1000;

/**
 * Objects in a bucket: `<prefix><key>`. What is half written is an open multipart upload of the same key. Memory of an upload: three
 * parts at most. `maxBytes`: of the largest object, which says how large parts are. `now`: what addresses are timed by.
 */
export class S3Storage implements Storage {
  private readonly client: S3Client;
  private readonly partBytes: number;

  constructor(
    private readonly place: S3Place,
    private readonly maxBytes: number,
    private readonly now: Now = () => Date.now(),
    silenceMs = SILENCE_MS,
  ) {
    this.partBytes = Math.max(PART_BYTES, Math.ceil(maxBytes / MAX_PARTS));
    this.client = new S3Client({
      ...(place.endpoint !== undefined && { endpoint: place.endpoint }),
      ...(place.region !== undefined && { region: place.region }),
      forcePathStyle: place.pathStyle,
      systemClockOffset: now() - Date.now(),
      // The signature covers a hash of what is sent; further checksums are unknown to many servers.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      maxAttempts: ATTEMPTS,
      requestHandler: {
        connectionTimeout: CONNECT_MS,
        ...agentsAgainstSilence(MAX_SOCKETS, silenceMs),
      },
    });
  }

  async write(key: string, bytes: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void> {
    try {
      await uploadObject(this.client, this.nameOf(key), untilAborted(bytes, signal), this.partBytes);
    } catch (error) {
      // Where even that fails, the caller's own delete shows it, and a sweep tries again. A silent store would
      // not answer this either.
      if (!isSilent(error)) await this.delete(key).catch(() => undefined);
      throw explained(error);
    }
  }

  async read(key: string): Promise<Readable | undefined> {
    return (await this.get(key))?.body;
  }

  async layDown(key: string, path: string, signal?: AbortSignal): Promise<boolean> {
    signal?.throwIfAborted();
    return layDownAt(path, await this.read(key), signal);
  }

  async send(key: string, range: ByteRange | undefined, begin: () => Writable): Promise<number | undefined> {
    const answer = await this.get(key, range);
    if (answer === undefined) return undefined;
    const { body, size } = answer;
    const to = begin();
    let failure: unknown;
    body.once('error', (error) => (failure = to.destroyed ? undefined : error));
    // Who closes what is sent to them is no failure.
    return pipeline(body, to, { end: false }).then(
      () => size,
      (error: unknown) => {
        if (failure !== undefined || !to.destroyed) throw error;
        return 0;
      },
    );
  }

  private async get(key: string, range?: ByteRange): Promise<{ body: Readable; size: number } | undefined> {
    const answer = await this.client
      .send(
        new GetObjectCommand({
          ...this.nameOf(key),
          ...(range && { Range: `bytes=${String(range.start)}-${String(range.end)}` }),
        }),
      )
      .catch(unlessMissing);
    return answer && { body: answer.Body as Readable, size: answer.ContentLength ?? 0 };
  }

  async size(key: string): Promise<number | undefined> {
    const answer = await this.client.send(new HeadObjectCommand(this.nameOf(key))).catch(unlessMissing);
    return answer?.ContentLength;
  }

  async delete(key: string): Promise<void> {
    const object = this.nameOf(key);
    // Uploads go first: none can then become an object behind the deletion. A part that was on its way may outlive an abort, so it is
    // looked again.
    for (let look = 1; ; look++) {
      const open = await this.openUploads(object.Key);
      if (open.length === 0) break;
      if (look > LOOKS) throw new Error(`uploads of ${object.Key} are still open after they were aborted`);
      for (const { UploadId } of open) {
        await this.client.send(new AbortMultipartUploadCommand({ ...object, UploadId })).catch(unlessMissing);
      }
    }
    await this.client.send(new DeleteObjectCommand(object)).catch(unlessMissing);
  }

  async *list(): AsyncGenerator<string> {
    const { bucket: Bucket, prefix: Prefix } = this.place;
    const pages = paginateListObjectsV2({ client: this.client }, { Bucket, Prefix });
    for await (const { Contents = [] } of pages) yield* this.keysOf(Contents);
    yield* this.keysOf(await this.openUploads(Prefix));
  }

  private *keysOf(objects: readonly { readonly Key?: string | undefined }[]): Generator<string> {
    for (const { Key = '' } of objects) {
      // What else lies in the bucket is none of ours.
      const key = Key.slice(this.place.prefix.length);
      if (isStorageKey(key)) yield key;
    }
  }

  private async openUploads(prefix: string): Promise<MultipartUpload[]> {
    const found: MultipartUpload[] = [];
    let from: { KeyMarker?: string | undefined; UploadIdMarker?: string | undefined } = {};
    for (;;) {
      const page = await this.client
        .send(new ListMultipartUploadsCommand({ Bucket: this.place.bucket, Prefix: prefix, ...from }))
        .catch(explain);
      found.push(...(page.Uploads ?? []));
      if (page.IsTruncated !== true) return found;
      from = { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker };
    }
  }

  /** That the bucket is there and answers; whether it takes more, only a write tells. */
  async check(): Promise<void> {
    await this.client.send(new HeadBucketCommand({ Bucket: this.place.bucket })).catch(explain);
  }

  /** An address that gives the bytes to whoever holds it, for `seconds`, and says of them what it is told to. */
  address(key: string, said: SaidOfBytes, seconds: number): Promise<string> {
    const command = new GetObjectCommand({
      ...this.nameOf(key),
      ResponseContentType: said.contentType,
      ResponseContentDisposition: said.contentDisposition,
      ResponseCacheControl: said.cacheControl,
    });
    return getSignedUrl(this.client, command, { expiresIn: seconds, signingDate: new Date(this.now()) });
  }

  /** Takes uploads over several requests into the bucket. */
  receiver(): Receiver {
    const { client } = this;
    return new S3Receiver(
      {
        client,
        explained,
        nameOf: (key) => this.nameOf(key),
        size: (key) => this.size(key),
        read: (key) => this.read(key),
        openUploadsOf: async (key) => {
          const open = await this.openUploads(this.nameOf(key).Key);
          return open.map(({ UploadId = '' }) => UploadId);
        },
      },
      // Numbers are lost where processes die.
      Math.max(PART_BYTES, Math.ceil(this.maxBytes / (MAX_PARTS - SPARE_PARTS))),
    );
  }

  /** Lets clients send parts to the bucket themselves. */
  direct(): DirectStore {
    const { client, now } = this;
    return {
      open: async (key) => {
        const command = new CreateMultipartUploadCommand(this.nameOf(key));
        const { UploadId = '' } = await client.send(command).catch(explain);
        return UploadId;
      },
      partAddress: (key, UploadId, { number, size }, seconds) => {
        const part = { UploadId, PartNumber: number, ContentLength: size };
        const command = new UploadPartCommand({ ...this.nameOf(key), ...part });
        // Or the address would take more bytes than it is for.
        const signableHeaders = new Set(['host', 'content-length']);
        return getSignedUrl(client, command, {
          expiresIn: seconds,
          signableHeaders,
          signingDate: new Date(now()),
        });
      },
    };
  }

  close(): void {
    this.client.destroy();
  }

  private nameOf(key: string): ObjectName {
    assertStorageKey(key);
    return { Bucket: this.place.bucket, Key: this.place.prefix + key };
  }
}

function unlessMissing(error: unknown): undefined {
  // A bucket that is missing is a mistake, and its objects are not.
  const isMissing =
    error instanceof S3ServiceException &&
    error.$metadata.httpStatusCode === 404 &&
    error.name !== 'NoSuchBucket';
  if (!isMissing) throw explained(error);
}

function explain(error: unknown): never {
  throw explained(error);
}

/** A store that does not answer now, or has no room, is no defect. What it refuses for another reason stays as it is. */
function explained(error: unknown): unknown {
  const status = error instanceof S3ServiceException ? (error.$metadata.httpStatusCode ?? 0) : 0;
  const name = error instanceof Error ? error.name : '';
  if (status < 500 && status !== 429 && !/^TimeoutError$|Quota|StorageFull|^SlowDown$/.test(name))
    return error;
  return new ParleyError(
    'UNAVAILABLE',
    'The file storage does not accept this now: try again later.',
    {},
    { cause: error },
  );
}
