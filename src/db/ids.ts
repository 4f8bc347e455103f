import { randomBytes } from 'node:crypto';
import { v7, validate } from 'uuid';

/** A new UUIDv7: sorts by time, so that rows made together lie together. Made here since Postgres 15 has no uuidv7(). */
export const newId = (): string => v7();

export const isId = (text: string): boolean => validate(text);

/** 8 random bytes in base64url (11 characters): tells an event from another that bore the same seq. */
export const newTag = (): string => randomBytes(8).toString('base64url');
