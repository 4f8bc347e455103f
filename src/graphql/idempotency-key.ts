import { text } from './text.js';

/** What any mutation takes as `idempotencyKey`. */
export const idempotencyKey = text
  .min(1, 'A key has at least 1 character.')
  .max(200, 'A key has 200 characters at most.')
  .nullish();
