import { GraphQLError } from 'graphql';
import { z } from 'zod';
import { User, userOf } from '../accounts/accounts.schema.js';
import type { FileRow } from '../db/tables.js';
import { builder } from '../graphql/builder.js';
import { connection, connectionComplexity, type ConnectionArgs } from '../graphql/connection.js';
import { defineLoader, type Context } from '../graphql/context.js';
import { decodeId } from '../graphql/ids.js';
import { needsViewer } from '../graphql/needs-viewer.js';
import { text } from '../graphql/text.js';
import { visibleNodes } from '../graphql/visible-nodes.js';
import { eventCursorOf, listCursorDescription, Room, roomOf, viewerReads } from '../rooms/rooms.schema.js';
import { filesKeyset, type FileOrder } from './files.queries.js';
import type { FileFilter, FileListing, FilesService } from './files.service.js';
import { IncomingFile } from './incoming-file.js';

declare module '../graphql/builder.js' {
  interface SliceScalars {
    Upload: { Input: IncomingFile; Output: never };
  }
}

declare module '../graphql/context.js' {
  interface Services {
    files: FilesService;
  }
}

const loadFile = defineLoader((ids: readonly string[], ctx) => ctx.services.files.files(ids));

/** A file that something refers to; null once it is deleted. Whoever sees what refers to it sees the file. */
export const fileOf = async (ctx: Context, id: string): Promise<FileRow | null> =>
  (await loadFile(ctx).load(id)) ?? null;

/** Those of the files that are not deleted, in the order of `ids`. */
export async function presentFiles(ctx: Context, ids: readonly string[]): Promise<FileRow[]> {
  const files = await Promise.all(ids.map((id) => fileOf(ctx, id)));
  return files.filter((file) => file !== null);
}

builder.scalarType('Upload', {
  description: 'A file that is sent along, by the GraphQL multipart request spec.',
  specifiedByURL: 'https://github.com/jaydenseric/graphql-multipart-request-spec',
  parseValue: (value) => {
    if (value instanceof IncomingFile) return value;
    throw new GraphQLError('Upload takes a file, sent as multipart/form-data with `operations` and `map`.');
  },
  parseLiteral: () => {
    throw new GraphQLError('Upload takes a file, so it is given as a variable.');
  },
  serialize: () => {
    throw new GraphQLError('Upload is for input only.');
  },
});

export const File = builder.objectRef<FileRow>('File');

builder.node(File, {
  description: 'A file in a room, checked by its bytes before anyone could see it. It never changes.',
  id: { resolve: (file) => file.id, description: 'Global id, opaque and URL-safe.' },
  loadMany: visibleNodes('File', async (id, ctx) => {
    const file = await fileOf(ctx, id);
    return file !== null && (await viewerReads(ctx, file.room_id)) ? file : null;
  }),
  fields: (t) => ({
    room: t.field({
      type: Room,
      description: 'Where it is.',
      resolve: (file, _args, ctx) => roomOf(ctx, file.room_id),
    }),
    uploader: t.field({
      type: User,
      description: 'Who uploaded it.',
      resolve: (file, _args, ctx) => userOf(ctx, file.uploader_id),
    }),
    name: t.exposeString('name', {
      description: 'A safe file name: no folders, no control characters, 255 bytes at most.',
    }),
    mimeType: t.exposeString('mime_type', {
      description: 'Judged by its content, not by what the client claimed.',
    }),
    size: t.expose('size', { type: 'SafeInt', description: 'Bytes.' }),
    sha256: t.exposeString('sha256', { description: 'SHA-256 of its bytes, hex.' }),
    createdAt: t.field({
      type: 'DateTime',
      description: 'When it was uploaded.',
      resolve: (file) => file.created_at,
    }),
    url: t.field({
      type: 'URL',
      description:
        'A signed link that needs no header and works for `expiresIn` seconds, for whoever holds it. Add `&download=1` to save the file instead of showing it.',
      args: {
        expiresIn: t.arg.int({ required: true, defaultValue: 900, description: 'Seconds, 86,400 at most.' }),
      },
      resolve: (file, { expiresIn }, ctx) => ctx.services.files.link(file, expiresIn),
    }),
  }),
});

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

const FileOrderInput = builder.inputType('FileOrder', {
  description: 'An order of files. Files that are equal in it are ordered by time.',
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

const NEWEST_FIRST: FileOrder = { field: 'CREATED_AT', direction: 'DESC' };

const FileFilterInput = builder.inputType('FileFilter', {
  description: 'All that is given must hold.',
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
      description: 'Part of the name, in any case.',
    }),
    uploaderId: t.id({ description: 'Id of the User who uploaded them.' }),
  }),
});

type FilterInput = typeof FileFilterInput.$inferInput;

const filterOf = (input: FilterInput | null | undefined): FileFilter => ({
  ...input,
  uploaderId: input?.uploaderId == null ? null : decodeId('User', input.uploaderId, 'filter.uploaderId'),
});

builder.objectField(Room, 'files', (t) =>
  t.connection(
    {
      type: File,
      nullable: true,
      extensions: needsViewer,
      description: 'Newest first if `orderBy` is left out. Null for those who are no members.',
      complexity: connectionComplexity,
      args: {
        filter: t.arg({ type: FileFilterInput, description: 'Only files like this.' }),
        orderBy: t.arg({ type: FileOrderInput, description: 'Newest first if left out.' }),
      },
      resolve: async (room, { filter, orderBy, ...args }: FilesArgs, ctx) => {
        if (!(await viewerReads(ctx, room.id))) return null;
        const wanted = filterOf(filter);
        const order = orderBy ?? NEWEST_FIRST;
        const { mimeType, nameContains, uploaderId } = wanted;
        const list = `files ${room.id} ${JSON.stringify([order.field, order.direction, mimeType, nameContains, uploaderId])}`;
        const page = await connection(ctx.cursors, list, args, filesKeyset(order).keyOf, (slice) =>
          ctx.services.files.page(room.id, wanted, order, slice),
        );
        return { ...page, room, wanted };
      },
    },
    {
      name: 'FileConnection',
      description: "A page of a room's files.",
      fields: (c) => ({
        totalCount: c.int({
          description:
            'All files that match the filter. Without one it costs nothing; with one, all files of the room are looked at.',
          resolve: ({ room, wanted }, _args, ctx) => ctx.services.files.count(room.id, wanted),
        }),
        eventCursor: c.string({
          description: listCursorDescription,
          resolve: ({ room }) => eventCursorOf(room),
        }),
      }),
    },
    { name: 'FileEdge', description: 'A file in a page.' },
  ),
);

interface FilesArgs extends ConnectionArgs {
  readonly filter?: FilterInput | null | undefined;
  readonly orderBy?: FileOrder | null | undefined;
}

const FilePage = builder.objectRef<FileListing>('FilePage').implement({
  description: 'A numbered page of files.',
  fields: (t) => ({
    items: t.field({
      type: [File],
      description: 'The rows of this page.',
      // Query.filePage counts them.
      complexity: { field: 1, multiplier: 1 },
      resolve: (page) => page.items,
    }),
    total: t.exposeInt('total', { description: 'All rows that match.' }),
    page: t.exposeInt('page', { description: 'The number of this page, from 1 on.' }),
    size: t.exposeInt('size', { description: 'Rows a page, as asked.' }),
    pages: t.exposeInt('pages', {
      description: "Pages that can be asked for, so at most 10,000 rows' worth; 0 when there are no rows.",
    }),
  }),
});

builder.queryField('filePage', (t) =>
  t.field({
    type: FilePage,
    nullable: true,
    description:
      'Offset pages, for a table with page numbers. Deeper than 10,000 rows answers BAD_USER_INPUT: use Room.files there. Null for those who are no members.',
    complexity: ({ size }) => ({ field: 1, multiplier: Math.min(Math.max(size, 1), 100) }),
    args: {
      roomId: t.arg.id({ required: true, description: 'Id of a room that you are in.' }),
      page: t.arg.int({ required: true, defaultValue: 1, description: 'From 1 on.' }),
      size: t.arg.int({ required: true, defaultValue: 20, description: 'Rows a page, 1 to 100.' }),
      filter: t.arg({ type: FileFilterInput, description: 'Only files like this.' }),
      orderBy: t.arg({ type: FileOrderInput, description: 'Newest first if left out.' }),
    },
    resolve: async (_root, { roomId, page, size, filter, orderBy }, ctx) => {
      const room = { roomId: decodeId('Room', roomId, 'roomId'), page, size };
      if (ctx.viewer === undefined) return null;
      return ctx.services.files.listing(ctx.viewer.id, room, filterOf(filter), orderBy ?? NEWEST_FIRST);
    },
  }),
);
