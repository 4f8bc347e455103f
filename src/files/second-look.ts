import type { Judgement } from './media-type.js';
import { OFFICE_TYPES, officeType } from './zip-contents.js';

/** Looks at the rest of a file whose beginning does not decide what it is. */
export interface SecondLook {
  /** Types that the file may turn out to have, beside that of its beginning. */
  readonly possible: readonly string[];
  /** Takes the bytes that follow. They may change once this returns. */
  add(chunk: Uint8Array): void;
  /** Once all were added. Undefined: the type stays. */
  end(): Promise<Judgement | undefined>;
}

/** Bytes from the end of an archive that its directory is looked for in. */
const TAIL_BYTES = 128 * 1024;

/** An office document whose first part is a large picture shows what it is in the directory at its end. */
export function zipEnd(): SecondLook {
  const tail = Buffer.alloc(TAIL_BYTES);
  let length = 0;
  return {
    possible: OFFICE_TYPES,
    add(chunk) {
      const added = chunk.subarray(Math.max(0, chunk.length - TAIL_BYTES));
      const kept = Math.min(length, TAIL_BYTES - added.length);
      tail.copyWithin(0, length - kept, length);
      tail.set(added, kept);
      length = kept + added.length;
    },
    end: async () => {
      const type = officeType(tail.subarray(0, length));
      return type === undefined ? undefined : { type, charset: null };
    },
  };
}

/**
 * A text that begins with nothing but space is judged by what follows it, up to as many characters as
 * `limit`. `judge`: the type of a text.
 */
export function blankStart(charset: string, limit: number, judge: (text: string) => string): SecondLook {
  const decoder = new TextDecoder(charset);
  let text = '';
  return {
    possible: [],
    add(chunk) {
      if (text.length >= limit) return;
      const more = decoder.decode(chunk, { stream: true });
      text += (text === '' ? more.trimStart() : more).slice(0, limit - text.length);
    },
    end: async () => (text === '' ? undefined : { type: judge(text), charset }),
  };
}
