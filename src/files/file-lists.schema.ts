import { z } from 'zod';
import { builder } from '../graphql/builder.js';
import { connection, connectionComplexity, SCAN_COST, type ConnectionArgs } from '../graphql/connection.js';
import { decodeId } from '../graphql/ids.js';
import { needsViewer } from '../graphql/needs-viewer.js';
import { eventCursorOf, listCursorDescription, Room, viewerReads } from '../rooms/rooms.schema.js';
import type { FileOrder } from './file-criteria.queries.js';
import {
  FileFilterInput,
  FileOrderInput,
  filterCost,
  filterOf,
  identityOf,
  NEWEST_FIRST,
  type FileFilterArg,
} from './file-filter.schema.js';
import { MAX_PAGED_ROWS, type FileListing } from './file-lists.js';
import { filesKeyset } from './file-lists.queries.js';
import { File } from './files.schema.js';
import { viewerFilesKeyset } from './viewer-files.queries.js';

const MAX_ROOMS = 100;

interface FilesArgs extends ConnectionArgs {
  readonly filter?: FileFilterArg;
  readonly orderBy?: FileOrder | null | undefined;
}

const FileEdge = builder.edgeObject({
  type: File,
  name: 'FileEdge',
  description: 'A file in a page.',
});

builder.objectField(Room, 'files', (t) =>
  t.connection(
    {
      type: File,
      nullable: true,
      extensions: needsViewer,
      description:
        'The files of the room, newest first if `orderBy` is left out. Null if the viewer is not a member.',
      complexity: ({ filter, orderBy, ...args }: FilesArgs) =>
        connectionComplexity(args, filterCost(filter, orderBy)),
      args: {
        filter: t.arg({ type: FileFilterInput, description: 'Only files that match this filter.' }),
        orderBy: t.arg({ type: FileOrderInput, description: 'The order. Newest first if left out.' }),
      },
      resolve: async (room, { filter, orderBy, ...args }: FilesArgs, ctx) => {
        if (!(await viewerReads(ctx, room.id))) return null;
        const wanted = filterOf(filter);
        const order = orderBy ?? NEWEST_FIRST;
        const list = `files ${room.id} ${identityOf(wanted, order)}`;
        const page = await connection(ctx.cursors, list, args, filesKeyset(order).keyOf, (slice) =>
          ctx.services.files.lists.page(room.id, wanted, order, slice),
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
            'Number of files that match the filter. Without a filter this costs nothing; with one, all matches are counted, which may read every file of the room.',
          resolve: ({ room, wanted }, _args, ctx) => ctx.services.files.lists.count(room.id, wanted),
        }),
        eventCursor: c.string({
          description: listCursorDescription,
          resolve: ({ room }) => eventCursorOf(room),
        }),
      }),
    },
    FileEdge,
  ),
);

builder.queryField('files', (t) =>
  t.connection(
    {
      type: File,
      nullable: true,
      extensions: needsViewer,
      description:
        'The files of all rooms that the viewer is a member of, newest first if `orderBy` is left out. Null when signed out. A page costs one look into each of these rooms, no matter how many files they have or how deep the page is; with more than a few thousand rooms, narrow it down with `roomIds`. Conditions that no index covers (see FileFilter), such as a part of a name, are searched for in all of them.',
      // It looks into each room.
      complexity: ({ filter, orderBy, ...args }: ViewerFilesArgs) =>
        connectionComplexity(args, SCAN_COST.counted + 2 * filterCost(filter, orderBy)),
      args: {
        roomIds: t.arg.idList({
          validate: z
            .array(z.string())
            .max(MAX_ROOMS, `\`roomIds\` takes ${String(MAX_ROOMS)} ids at most.`)
            .nullish(),
          description: `Only files in these rooms, at most ${String(MAX_ROOMS)}. Rooms that the viewer is not a member of are ignored.`,
        }),
        filter: t.arg({ type: FileFilterInput, description: 'Only files that match this filter.' }),
        orderBy: t.arg({ type: FileOrderInput, description: 'The order. Newest first if left out.' }),
      },
      resolve: async (_root, { roomIds, filter, orderBy, ...args }: ViewerFilesArgs, ctx) => {
        const wanted = filterOf(filter);
        const order = orderBy ?? NEWEST_FIRST;
        const rooms = roomIds?.map((id) => decodeId('Room', id, 'roomIds')).sort();
        if (ctx.viewer === undefined) return null;
        const viewer = { userId: ctx.viewer.id, roomIds: rooms };
        const list = `files of ${viewer.userId} ${JSON.stringify(rooms)} ${identityOf(wanted, order)}`;
        const page = await connection(ctx.cursors, list, args, viewerFilesKeyset(order).keyOf, (slice) =>
          ctx.services.files.lists.viewerPage(viewer, wanted, order, slice),
        );
        return { ...page, viewer, wanted };
      },
    },
    {
      name: 'ViewerFileConnection',
      description: 'A page of files from several rooms.',
      fields: (c) => ({
        totalCount: c.int({
          description:
            'Number of files that match the filter. Without a filter this is known already; with one, all matches are counted.',
          resolve: ({ viewer, wanted }, _args, ctx) => ctx.services.files.lists.viewerCount(viewer, wanted),
        }),
      }),
    },
    FileEdge,
  ),
);

interface ViewerFilesArgs extends FilesArgs {
  readonly roomIds?: readonly string[] | null | undefined;
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
    total: t.exposeInt('total', { description: 'Number of files that match the filter.' }),
    page: t.exposeInt('page', { description: 'The number of this page; the first is 1.' }),
    size: t.exposeInt('size', { description: 'Rows per page, as requested.' }),
    pages: t.exposeInt('pages', {
      description:
        'Number of pages that can be requested, covering at most 10,000 rows; 0 if there are no rows.',
    }),
  }),
});

/** Of the rows before a numbered page, which are read as well: at the end of them all as much as of a list that is counted. */
const passedCost = (rows: number): number =>
  Math.ceil((SCAN_COST.counted * Math.min(Math.max(rows, 0), MAX_PAGED_ROWS)) / MAX_PAGED_ROWS);

builder.queryField('filePage', (t) =>
  t.field({
    type: FilePage,
    nullable: true,
    description:
      "A numbered page of a room's files, for tables with page numbers. Beyond 10,000 rows it fails with BAD_USER_INPUT: use Room.files to go further. Null if the viewer is not a member.",
    complexity: ({ page, size, filter, orderBy }) => ({
      field: 1 + filterCost(filter, orderBy) + passedCost(page * size),
      multiplier: Math.min(Math.max(size, 1), 100),
    }),
    args: {
      roomId: t.arg.id({ required: true, description: 'Id of a room that you are in.' }),
      page: t.arg.int({
        required: true,
        defaultValue: 1,
        description: 'The number of the page; the first is 1.',
      }),
      size: t.arg.int({ required: true, defaultValue: 20, description: 'Rows per page, 1 to 100.' }),
      filter: t.arg({ type: FileFilterInput, description: 'Only files that match this filter.' }),
      orderBy: t.arg({ type: FileOrderInput, description: 'The order. Newest first if left out.' }),
    },
    resolve: async (_root, { roomId, page, size, filter, orderBy }, ctx) => {
      const room = { roomId: decodeId('Room', roomId, 'roomId'), page, size };
      if (ctx.viewer === undefined) return null;
      return ctx.services.files.lists.listing(ctx.viewer.id, room, filterOf(filter), orderBy ?? NEWEST_FIRST);
    },
  }),
);
