import { randomFillSync } from 'node:crypto';
import { v7, validate } from 'uuid';

/** A new UUIDv7: sorts by time, so that rows made together lie together. Made here since Postgres 15 has no uuidv7(). */
export const newId = (): string => v7();

export const isId = (text: string): boolean => validate(text);

const TAG_BYTES = 8;
/** Random bytes ahead: to ask for those of one tag cost as much as three hundredths of a post. */
const ahead = Buffer.alloc(TAG_BYTES * 256);
let used = ahead.length;

/** 8 random bytes in base64url (11 characters): tells an event from another that bore the same seq. */
export function newTag(): string {
  if (used === ahead.length) {
    randomFillSync(ahead);
    used = 0;
  }
  return ahead.toString('base64url', used, (used += TAG_BYTES));
}
