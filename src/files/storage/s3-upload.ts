import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  PutObjectCommand,
  UploadPartCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { joined } from '../chunks.js';

/** The object of an upload. */
export interface ObjectName {
  readonly Bucket: string;
  readonly Key: string;
}

/**
 * Writes an object: in one request when `partBytes` hold it, else as a multipart upload, one part on its way while the next is gathered.
 * The object is there when this resolves, and not before. When it rejects, no request of it is under way any more, so that what it left
 * can be removed for good: of the first request that fails nothing more is read, and with the source's own error when that breaks off.
 */
export async function uploadObject(
  client: S3Client,
  object: ObjectName,
  bytes: AsyncIterable<Uint8Array>,
  partBytes: number,
): Promise<void> {
  let uploadId: string | undefined;
  const tags: (string | undefined)[] = [];
  let sending = Promise.resolve();
  try {
    for await (const { part, isLast } of partsOf(bytes, partBytes)) {
      if (uploadId === undefined && isLast) {
        await client.send(new PutObjectCommand({ ...object, Body: part }));
        return;
      }
      uploadId ??= (await client.send(new CreateMultipartUploadCommand(object))).UploadId;
      await sending;
      const place = { ...object, UploadId: uploadId, PartNumber: tags.length + 1 };
      sending = client.send(new UploadPartCommand({ ...place, Body: part })).then(({ ETag }) => {
        tags.push(ETag);
      });
      // It is awaited before the next one; until then its failure has been seen.
      sending.catch(() => undefined);
    }
    await sending;
    const Parts = tags.map((ETag, i) => ({ ETag, PartNumber: i + 1 }));
    await client.send(
      new CompleteMultipartUploadCommand({ ...object, UploadId: uploadId, MultipartUpload: { Parts } }),
    );
  } finally {
    // Whatever ended this, nothing may arrive behind it.
    await sending.catch(() => undefined);
  }
}

interface Part {
  readonly part: Buffer;
  readonly isLast: boolean;
}

/** The bytes in parts of exactly that size, which some servers insist on, but for the last. */
async function* partsOf(bytes: AsyncIterable<Uint8Array>, partBytes: number): AsyncGenerator<Part> {
  let gathered: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of bytes) {
    let rest = chunk;
    while (size + rest.length > partBytes) {
      const fits = partBytes - size;
      yield { part: joined([...gathered, rest.subarray(0, fits)]), isLast: false };
      rest = rest.subarray(fits);
      gathered = [];
      size = 0;
    }
    gathered.push(rest);
    size += rest.length;
  }
  yield { part: joined(gathered), isLast: true };
}
