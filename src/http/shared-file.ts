import { incomplete, IncomingFile, type ArrivedFile } from '../files/incoming-file.js';

/** Milliseconds that the first who asks for a file waits for those who want it at its other places. */
const PATIENCE_MS = 100;
/** Milliseconds for one who has the file to begin to read it, before the others go on without. */
const BEGIN_MS = 2000;

/**
 * A file that a request puts at several places: one for each. They are read side by side, at the pace of the slowest, since nothing is kept of what
 * streams by: one who asks when the others have begun gets UPLOAD_INCOMPLETE, and so does one who does not begin to read.
 */
export function shareFile(file: IncomingFile, places: number): readonly IncomingFile[] {
  if (places < 2) return [file];
  const copies: Copy[] = [];
  let arrived: Promise<ArrivedFile> | undefined;
  let timer: NodeJS.Timeout | undefined;
  let begin = (): void => undefined;
  const all = new Promise<void>((resolve) => {
    begin = resolve;
  });
  const receive = async (): Promise<ArrivedFile> => {
    await all;
    clearTimeout(timer);
    return new Promise((resolve, reject) => {
      file
        .receive(async (given) => {
          resolve(given);
          await pour(given.bytes, copies);
        })
        .catch((error: unknown) => {
          reject(error instanceof Error ? error : new Error('a file did not arrive', { cause: error }));
        });
    });
  };
  let isBegun = false;
  void all.then(() => {
    isBegun = true;
  });
  return Array.from(
    { length: places },
    () =>
      new IncomingFile(async (work) => {
        if (isBegun) throw tooLate();
        const copy = new Copy();
        copies.push(copy);
        arrived ??= receive();
        timer ??= setTimeout(begin, PATIENCE_MS);
        if (copies.length === places) begin();
        try {
          return await work({ ...(await arrived), bytes: copy });
        } finally {
          copy.leave();
        }
      }),
  );
}

/** Gives each chunk to all who still read, and the next when they have asked for it. What breaks the file off breaks all of them off. */
async function pour(bytes: AsyncIterable<Uint8Array>, copies: readonly Copy[]): Promise<void> {
  const late = setTimeout(() => {
    for (const copy of copies) if (!copy.hasBegun) copy.fail(tooLate());
  }, BEGIN_MS);
  try {
    await Promise.all(copies.map((copy) => copy.wantsMore()));
    for await (const chunk of bytes) {
      const readers = copies.filter((copy) => !copy.isOver);
      if (readers.length === 0) return;
      // A chunk belongs to the one who takes it.
      const chunks = readers.map((_, i) => (i === 0 ? chunk : new Uint8Array(chunk)));
      readers.forEach((copy, i) => copy.give(chunks[i]));
      await Promise.all(readers.map((copy) => copy.wantsMore()));
    }
    for (const copy of copies) copy.give(undefined);
  } catch (error) {
    for (const copy of copies) copy.fail(error);
  } finally {
    clearTimeout(late);
  }
}

/** The bytes for one place, chunk by chunk. */
class Copy implements AsyncIterableIterator<Uint8Array> {
  /** Somebody has asked for the first chunk. */
  hasBegun = false;
  isOver = false;
  private error: unknown;
  private waiting:
    { resolve: (result: IteratorResult<Uint8Array>) => void; reject: (error: unknown) => void } | undefined;
  private wanted = (): void => undefined;

  next(): Promise<IteratorResult<Uint8Array>> {
    this.hasBegun = true;
    return new Promise((resolve, reject) => {
      // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- as it came
      if (this.error !== undefined) reject(this.error);
      else if (this.isOver) resolve({ done: true, value: undefined });
      else {
        this.waiting = { resolve, reject };
        this.wanted();
      }
    });
  }

  return(): Promise<IteratorResult<Uint8Array>> {
    this.leave();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Resolves when another chunk is asked for, or none any more. */
  async wantsMore(): Promise<void> {
    if (this.isOver || this.waiting !== undefined) return;
    await new Promise<void>((resolve) => {
      this.wanted = resolve;
    });
  }

  /** Undefined: it was the last. Call it when more is wanted. */
  give(chunk: Uint8Array | undefined): void {
    const { waiting } = this;
    this.waiting = undefined;
    if (chunk === undefined) this.isOver = true;
    waiting?.resolve(chunk === undefined ? { done: true, value: undefined } : { done: false, value: chunk });
  }

  fail(error: unknown): void {
    if (this.isOver) return;
    this.error = error;
    this.leave();
    this.waiting?.reject(error);
    this.waiting = undefined;
  }

  /** Nothing more is wanted. */
  leave(): void {
    this.isOver = true;
    this.wanted();
  }
}

const tooLate = (): Error =>
  incomplete(
    'This file was read for another place of the request before it was asked for here: send it once for each.',
  );
