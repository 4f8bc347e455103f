import { z } from 'zod';

/**
 * Text that can be stored as it came. Postgres takes no NUL, and half of a surrogate pair, which JSON can spell, has no
 * form in UTF-8.
 */
export const text = z.string().refine((value) => !value.includes('\0') && value.isWellFormed(), {
  message: 'Text cannot contain NUL or an unpaired surrogate.',
  abort: true,
});
