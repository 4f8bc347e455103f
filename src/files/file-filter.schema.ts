import { z } from 'zod';
import { builder } from '../graphql/builder.js';
import { decodeId } from '../graphql/ids.js';
import { text } from '../graphql/text.js';
import type { FileOrder } from './file-criteria.queries.js';
import type { FileFilter } from './file-lists.js';

const FileOrderFieldEnum = builder.enumType('FileOrderField', {
  description: 'What files are ordered by.',
  values: {
    CREATED_AT: { description: 'When they were uploaded.' },
    NAME: { description: 'Their names, whatever their case.' },
    SIZE: { description: 'Their bytes.' },
  } as const,
});

const OrderDirectionEnum = builder.enumType('OrderDirection', {
  description: 'Which end comes first.',
  values: {
    ASC: { description: 'Smallest or oldest first.' },
    DESC: { description: 'Largest or newest first.' },
  } as const,
});

export const FileOrderInput = builder.inputType('FileOrder', {
  description:
    'An order of files. Files of a room that are equal in it are ordered by time, those of several rooms by room before that.',
  fields: (t) => ({
    field: t.field({
      type: FileOrderFieldEnum,
      required: true,
      defaultValue: 'CREATED_AT',
      description: 'By what.',
    }),
    direction: t.field({
      type: OrderDirectionEnum,
      required: true,
      defaultValue: 'DESC',
      description: 'Which end first.',
    }),
  }),
});

export const NEWEST_FIRST: FileOrder = { field: 'CREATED_AT', direction: 'DESC' };

export const FileFilterInput = builder.inputType('FileFilter', {
  description:
    'All that is given must hold. By type or by uploader a page costs the same in any order and at any depth, and by time in the order CREATED_AT. Whatever is asked beside that is asked of one file after the other until the page is full, or of all that an index finds, whichever promises to be less: of what is rare or lies together, a page may take a look at all files there.',
  fields: (t) => ({
    mimeType: t.string({
      validate: z
        .string()
        .regex(/^[\w.+-]+\/([\w.+-]+|\*)$/, 'This is neither like `image/png` nor like `image/*`.')
        .nullish(),
      description: '`image/png` or `image/*`.',
    }),
    nameContains: t.string({
      validate: text.max(255, 'A part of a name has 255 characters at most.').nullish(),
      description:
        'Part of the name, in any case. An index finds parts with three letters or digits in a row; a shorter one is looked for in name after name.',
    }),
    uploaderId: t.id({ description: 'Id of the User who uploaded them.' }),
    createdAfter: t.field({
      type: 'DateTime',
      description: 'Uploaded at this moment or later, so that ranges may follow one another.',
    }),
    createdBefore: t.field({
      type: 'DateTime',
      description: 'Uploaded earlier than this moment, not at it.',
    }),
  }),
});

export type FileFilterArg = typeof FileFilterInput.$inferInput | null | undefined;

/** Throws BAD_USER_INPUT for the id of something else. */
export const filterOf = (input: FileFilterArg): FileFilter => ({
  ...input,
  uploaderId: input?.uploaderId == null ? null : decodeId('User', input.uploaderId, 'filter.uploaderId'),
});

/** What makes a filter and an order another list, to whose pages cursors of this one do not belong. */
export const identityOf = (filter: FileFilter, { field, direction }: FileOrder): string => {
  const { mimeType, nameContains, uploaderId, createdAfter, createdBefore } = filter;
  return JSON.stringify([field, direction, mimeType, nameContains, uploaderId, createdAfter, createdBefore]);
};
