import { text } from './text.js';

/** What any mutation takes as `idempotencyKey`. */
export const idempotencyKey = text
  .min(1, 'An idempotency key must have at least 1 character.')
  .max(200, 'An idempotency key can have at most 200 characters.')
  .nullish();
