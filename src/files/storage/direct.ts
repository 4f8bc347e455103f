/** How a client sends the bytes of one object to the store itself, part by part. */
export interface DirectStore {
  /** Opens an upload of the key; answers its id in the store. */
  open(key: string): Promise<string>;
  /** An address that takes the part by PUT, with exactly so many bytes, for `seconds`. */
  partAddress(
    key: string,
    multipartId: string,
    part: { readonly number: number; readonly size: number },
    seconds: number,
  ): Promise<string>;
}

const MIB = 1024 * 1024;
const LEAST_PART_BYTES = 8 * MIB;
/** What S3 takes. */
const MAX_PARTS = 10_000;

/** The parts of a file of `size` bytes: all have as many, but the last one what is left. The same for a size at any time. */
export class PartPlan {
  private readonly partBytes: number;
  readonly count: number;

  constructor(private readonly size: number) {
    this.partBytes = Math.max(LEAST_PART_BYTES, Math.ceil(size / MAX_PARTS / MIB) * MIB);
    this.count = Math.ceil(size / this.partBytes);
  }

  /** Bytes of part `number`, from 1 on. */
  sizeOf(number: number): number {
    return number < this.count ? this.partBytes : this.size - (this.count - 1) * this.partBytes;
  }
}
