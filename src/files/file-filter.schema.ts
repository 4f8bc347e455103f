import { z } from 'zod';
import { builder } from '../graphql/builder.js';
import { SCAN_COST } from '../graphql/connection.js';
import { decodeId } from '../graphql/ids.js';
import { text } from '../graphql/text.js';
import type { FileOrder } from './file-criteria.queries.js';
import { scanOf, type FileFilter } from './file-lists.js';

const FileOrderFieldEnum = builder.enumType('FileOrderField', {
  description: 'What files are ordered by.',
  values: {
    CREATED_AT: { description: 'When they were uploaded.' },
    NAME: { description: 'The names of the files, case-insensitive.' },
    SIZE: { description: 'The sizes of the files.' },
  } as const,
});

const OrderDirectionEnum = builder.enumType('OrderDirection', {
  description: 'The direction of an order.',
  values: {
    ASC: { description: 'Smallest or oldest first.' },
    DESC: { description: 'Largest or newest first.' },
  } as const,
});

export const FileOrderInput = builder.inputType('FileOrder', {
  description:
    'An order of files. Files that are equal in it are ordered by upload time; in a list of several rooms by room first, then by upload time.',
  fields: (t) => ({
    field: t.field({
      type: FileOrderFieldEnum,
      required: true,
      defaultValue: 'CREATED_AT',
      description: 'What to order by.',
    }),
    direction: t.field({
      type: OrderDirectionEnum,
      required: true,
      defaultValue: 'DESC',
      description: 'In which direction.',
    }),
  }),
});

export const NEWEST_FIRST: FileOrder = { field: 'CREATED_AT', direction: 'DESC' };

export const FileFilterInput = builder.inputType('FileFilter', {
  description:
    'Files must match every condition that is given. A page filtered by type or by uploader alone costs the same in any order and at any depth, and so does a range of time in the order CREATED_AT. Any other condition is checked against one file after another until the page is full, or against all that an index finds, whichever promises to be less work: if matches are rare or lie close together, a page may read every file of the room.',
  fields: (t) => ({
    mimeType: t.string({
      validate: z
        .string()
        .regex(
          /^[\w.+-]+\/([\w.+-]+|\*)$/,
          '`mimeType` must be a media type such as `image/png`, or a whole kind such as `image/*`.',
        )
        .nullish(),
      description: 'A media type such as `image/png`, or a whole kind such as `image/*`.',
    }),
    nameContains: t.string({
      validate: text.max(255, '`nameContains` can have at most 255 characters.').nullish(),
      description:
        'Part of the name, in any case, by full case folding (`ß` is `ss`, `ς` is `σ`). Parts with at least three letters or digits in a row are found by an index; shorter ones by reading one name after another.',
    }),
    uploaderId: t.id({ description: 'Id of the User who uploaded them.' }),
    createdAfter: t.field({
      type: 'DateTime',
      description:
        'Uploaded at this moment or later. With `createdBefore`, consecutive ranges share no file and miss none.',
    }),
    createdBefore: t.field({
      type: 'DateTime',
      description: 'Uploaded before this moment, not at it.',
    }),
  }),
});

export type FileFilterArg = typeof FileFilterInput.$inferInput | null | undefined;

/** Throws BAD_USER_INPUT for the id of something else. */
export const filterOf = (input: FileFilterArg): FileFilter => ({
  ...input,
  uploaderId: input?.uploaderId == null ? null : decodeId('User', input.uploaderId, 'filter.uploaderId'),
});

/** What a filter costs (SCAN_COST), whatever becomes of its values. */
export function filterCost(filter: FileFilterArg, order: FileOrder | null | undefined): number {
  const scan = scanOf(filter ?? {}, order ?? NEWEST_FIRST);
  return scan === 'nothing' ? 0 : SCAN_COST[scan];
}

/** What makes a filter and an order another list, to whose pages cursors of this one do not belong. */
export const identityOf = (filter: FileFilter, { field, direction }: FileOrder): string => {
  const { mimeType, nameContains, uploaderId, createdAfter, createdBefore } = filter;
  return JSON.stringify([field, direction, mimeType, nameContains, uploaderId, createdAfter, createdBefore]);
};
