import { createHash, type Hash } from 'node:crypto';

/** Hash functions that `Upload-Checksum` may name (tus, checksum extension). */
export const CHECKSUM_ALGORITHMS = ['sha1', 'sha256', 'md5'];

/** The checksum that a request announces of its bytes. */
export class UploadChecksum {
  private readonly hash: Hash;

  /** Undefined for a header that is malformed, or names another algorithm. */
  static parse(header: string): UploadChecksum | undefined {
    const [, algorithm = '', digest = ''] = /^(\w+) ([A-Za-z0-9+/]+={0,2})$/.exec(header) ?? [];
    return CHECKSUM_ALGORITHMS.includes(algorithm) ? new UploadChecksum(algorithm, digest) : undefined;
  }

  private constructor(
    algorithm: string,
    private readonly digest: string,
  ) {
    this.hash = createHash(algorithm);
  }

  /** The same bytes. */
  async *over(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of bytes) {
      this.hash.update(chunk);
      yield chunk;
    }
  }

  /** Once, behind the last byte: whether they are the ones that were announced. */
  readonly verify = (): boolean => this.hash.digest('base64') === this.digest;
}
