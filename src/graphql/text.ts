import { z } from 'zod';
import { isBlank, keptName } from '../names.js';

/**
 * Text that can be stored as it came. Postgres takes no NUL, and half of a surrogate pair, which JSON can spell, has no
 * form in UTF-8.
 */
export const text = z.string().refine((value) => !value.includes('\0') && value.isWellFormed(), {
  message: 'Text cannot contain NUL or an unpaired surrogate.',
  abort: true,
});

/** Text of `max` UTF-16 units in NFC: decomposed it may have some more, whose marks take the square of their number to order. */
export const composedText = (max: number, message: string) =>
  text
    .max(4 * max, { message, abort: true })
    .transform((value) => value.normalize('NFC'))
    .pipe(z.string().max(max, message));

/** The name of a person or a room, of 1 to 100 UTF-16 units: kept in NFC and on one line, with nothing hidden in it. */
export const shownName = text
  .max(400, { message: 'A name can have at most 100 characters.', abort: true })
  .transform(keptName)
  .pipe(
    z
      .string()
      .max(100, 'A name can have at most 100 characters.')
      .refine((value) => !isBlank(value), {
        message: 'A name must have at least 1 character that can be seen.',
        abort: true,
      })
      .refine((value) => value.trim() === value, 'A name cannot begin or end with a space.'),
  );
