import { GraphQLError } from 'graphql';
import { User, userOf } from '../accounts/accounts.schema.js';
import type { FileRow } from '../db/tables.js';
import { builder } from '../graphql/builder.js';
import { defineLoader, type Context } from '../graphql/context.js';
import { visibleNodes } from '../graphql/visible-nodes.js';
import { Room, roomOf, viewerReads } from '../rooms/rooms.schema.js';
import type { FilesService } from './files.service.js';
import { IncomingFile } from './incoming-file.js';

/** The argument by which links are asked for. */
export const linkSeconds = {
  required: true,
  defaultValue: 900,
  description:
    'Seconds for which the link works at least, at most 86,400. From a minute on it works for up to a quarter longer: for a quarter of this time each read returns the same link, so that caches know it again.',
} as const;

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
  description: 'A file sent with the request, as the GraphQL multipart request spec describes.',
  specifiedByURL: 'https://github.com/jaydenseric/graphql-multipart-request-spec',
  parseValue: (value) => {
    if (value instanceof IncomingFile) return value;
    throw new GraphQLError('Upload must be a file, sent as multipart/form-data with `operations` and `map`.');
  },
  parseLiteral: () => {
    throw new GraphQLError('Upload must be a file, so give it as a variable.');
  },
  serialize: () => {
    throw new GraphQLError('Upload is for input only.');
  },
});

export const File = builder.objectRef<FileRow>('File');

builder.node(File, {
  description: 'A file in a room, checked by its content before anyone could see it. Its bytes never change.',
  id: { resolve: (file) => file.id, description: 'Global id, opaque and URL-safe.' },
  loadMany: visibleNodes('File', async (id, ctx) => {
    const file = await fileOf(ctx, id);
    return file !== null && (await viewerReads(ctx, file.room_id)) ? file : null;
  }),
  fields: (t) => ({
    room: t.field({
      type: Room,
      description: 'The room that the file is in.',
      resolve: (file, _args, ctx) => roomOf(ctx, file.room_id),
    }),
    uploader: t.field({
      type: User,
      description: 'Who uploaded it.',
      resolve: (file, _args, ctx) => userOf(ctx, file.uploader_id),
    }),
    name: t.exposeString('name', {
      description: 'A safe file name: no folders, no control characters, at most 255 bytes.',
    }),
    mimeType: t.exposeString('mime_type', {
      description: 'The media type, judged by the content of the file, not by what the client claimed.',
    }),
    size: t.expose('size', { type: 'SafeInt', description: 'Size in bytes.' }),
    sha256: t.exposeString('sha256', { description: 'SHA-256 of the content, in hex.' }),
    createdAt: t.field({
      type: 'DateTime',
      description: 'When it was uploaded.',
      resolve: (file) => file.created_at,
    }),
    url: t.field({
      type: 'URL',
      description:
        'A signed link that needs no header and works for at least `expiresIn` seconds, for anyone who has it. Add `&download=1` to save the file instead of showing it.',
      args: {
        expiresIn: t.arg.int(linkSeconds),
      },
      resolve: (file, { expiresIn }, ctx) => ctx.services.files.link(file, expiresIn),
    }),
  }),
});
