import { randomBytes } from 'node:crypto';
import {
  CreateMultipartUploadCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import type { S3Place } from '../../src/config/config.js';
import { BUCKET, CREDENTIALS, REGION } from './services/object-store.js';
import { isMissing, locationOf, services } from './services.js';

/** Where bytes lie. A suite about bytes runs over each that this machine has. */
export type Store = 'disk' | 's3';

export const stores: readonly Store[] = isMissing(services.objectStore) ? ['disk'] : ['disk', 's3'];

// As whoever runs a server would give them.
Object.assign(process.env, CREDENTIALS);

/** A place of one's own in the bucket of the tests. */
export const makeBucketPlace = (): S3Place => ({
  bucket: BUCKET,
  endpoint: locationOf(services.objectStore),
  region: REGION,
  prefix: `${randomBytes(6).toString('hex')}/`,
  pathStyle: true,
  redirects: false,
});

/** The same, as the environment of a server. */
export function bucketEnvironment(): Record<string, string> {
  const { bucket, endpoint = '', prefix } = makeBucketPlace();
  return {
    ...CREDENTIALS,
    S3_BUCKET: bucket,
    S3_ENDPOINT: endpoint,
    S3_REGION: REGION,
    S3_PREFIX: prefix,
    S3_FORCE_PATH_STYLE: 'true',
  };
}

/** What lies below a prefix of the bucket, by the server's own word: objects, and uploads that are open. */
export async function inBucket(prefix: string): Promise<{ objects: string[]; uploads: string[] }> {
  const place = { Bucket: BUCKET, Prefix: prefix };
  return withClient(async (client) => {
    const { Contents = [], IsTruncated } = await client.send(new ListObjectsV2Command(place));
    const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand(place));
    if (IsTruncated === true) throw new Error('more than one page');
    const names = (found: readonly { Key?: string | undefined }[]): string[] =>
      found.map(({ Key = '' }) => Key.slice(prefix.length));
    return { objects: names(Contents), uploads: names(Uploads) };
  });
}

/** An upload that nobody goes on with, with one part. */
export const leaveOpenUpload = (key: string): Promise<void> =>
  withClient(async (client) => {
    const object = { Bucket: BUCKET, Key: key };
    const { UploadId } = await client.send(new CreateMultipartUploadCommand(object));
    await client.send(
      new UploadPartCommand({ ...object, UploadId, PartNumber: 1, Body: Buffer.from('half a file') }),
    );
  });

async function withClient<T>(work: (client: S3Client) => Promise<T>): Promise<T> {
  const endpoint = locationOf(services.objectStore);
  const client = new S3Client({ endpoint, region: REGION, forcePathStyle: true });
  try {
    return await work(client);
  } finally {
    client.destroy();
  }
}
