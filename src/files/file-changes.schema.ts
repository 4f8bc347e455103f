import type { FileRow } from '../db/tables.js';
import type { ErrorCode } from '../errors.js';
import { builder } from '../graphql/builder.js';
import type { Context } from '../graphql/context.js';
import { toClientErrors } from '../graphql/errors.js';
import { decodeId, encodeId } from '../graphql/ids.js';
import { idempotencyKey } from '../graphql/idempotency-key.js';
import { limits } from '../graphql/limits.js';
import { roomEvent, subject } from '../rooms/room-events.schema.js';
import { writtenCursorDescription } from '../rooms/rooms.schema.js';
import { ErrorCodeEnum } from './error-code.schema.js';
import { File, fileOf } from './files.schema.js';
import type { FileWritten, UploadOutcome } from './file-uploads.js';

/** The file of an answer. One that was deleted since is still what the first call with its key answered. */
async function writtenFile(ctx: Context, id: string): Promise<FileRow> {
  const file = (await fileOf(ctx, id)) ?? (await ctx.services.files.fileRow(id));
  if (file === undefined) throw new Error(`file ${id} is missing`);
  return file;
}

const UploadFileInput = builder.inputType('UploadFileInput', {
  description: 'A file for a room.',
  fields: (t) => ({
    roomId: t.id({ required: true, description: 'Id of a room that you are in.' }),
    file: t.field({
      type: 'Upload',
      required: true,
      description: 'The file. Its type is judged by its content.',
    }),
    idempotencyKey: t.string({
      validate: idempotencyKey,
      description:
        'Per user: the same key, room, name and bytes answer the first outcome again; with others it is CONFLICT.',
    }),
  }),
});

const UploadFilesInput = builder.inputType('UploadFilesInput', {
  description: 'Files for a room.',
  fields: (t) => ({
    roomId: t.id({ required: true, description: 'Id of a room that you are in.' }),
    files: t.field({
      type: ['Upload'],
      required: true,
      description: `The files, ${limits.filesPerRequest} at most, in any order.`,
    }),
    idempotencyKey: t.string({
      validate: idempotencyKey,
      description:
        'Per user, for each file by its index: sending all again stores those that failed, and answers the first outcome for the others.',
    }),
  }),
});

const DeleteFileInput = builder.inputType('DeleteFileInput', {
  description: 'The file to delete.',
  fields: (t) => ({ fileId: t.id({ required: true, description: 'Id of the file.' }) }),
});

const written = (name: string, description: string) =>
  builder.objectRef<FileWritten>(name).implement({
    description,
    fields: (t) => ({
      file: t.field({
        type: File,
        description: 'The file.',
        resolve: ({ fileId }, _args, ctx) => writtenFile(ctx, fileId),
      }),
      eventCursor: t.string({
        description: writtenCursorDescription,
        resolve: ({ eventCursor }) => eventCursor,
      }),
    }),
  });

const UploadFilePayload = written('UploadFilePayload', 'The file that was uploaded.');
const UploadedFile = written('UploadedFile', 'A file that was stored.');

interface Rejected {
  readonly name: string;
  readonly code: ErrorCode;
  readonly message: string;
}

const RejectedFile = builder.objectRef<Rejected>('RejectedFile').implement({
  description: 'A file of which nothing was kept, and why.',
  fields: (t) => ({
    name: t.exposeString('name', { description: 'Its name; empty when it never arrived.' }),
    code: t.expose('code', { type: ErrorCodeEnum, description: 'Why, for programs.' }),
    message: t.exposeString('message', { description: 'Why, for people.' }),
  }),
});

const UploadOutcomeUnion = builder.unionType('UploadOutcome', {
  description: 'What became of one file of many.',
  types: [UploadedFile, RejectedFile],
  resolveType: (outcome) => ('fileId' in outcome ? UploadedFile : RejectedFile),
});

const UploadFilesPayload = builder
  .objectRef<{ outcomes: (FileWritten | Rejected)[] }>('UploadFilesPayload')
  .implement({
    description: 'What became of the files.',
    fields: (t) => ({
      outcomes: t.field({
        type: [UploadOutcomeUnion],
        description: 'In the order sent; one bad file does not sink the others.',
        resolve: ({ outcomes }) => outcomes,
      }),
    }),
  });

const DeleteFilePayload = builder.objectRef<FileWritten>('DeleteFilePayload').implement({
  description: 'The file that was deleted.',
  fields: (t) => ({
    deletedFileId: t.id({ description: 'Its id.', resolve: ({ fileId }) => encodeId('File', fileId) }),
    eventCursor: t.string({
      description: writtenCursorDescription,
      resolve: ({ eventCursor }) => eventCursor,
    }),
  }),
});

/** Errors are mapped, masked and logged like those of a whole field. */
function shown(ctx: Context, outcome: UploadOutcome): FileWritten | Rejected {
  if ('fileId' in outcome) return outcome;
  const [error] = toClientErrors([outcome.error], ctx.requestId, ctx.logger);
  return {
    name: outcome.name,
    code: (error?.extensions['code'] ?? 'INTERNAL_SERVER_ERROR') as ErrorCode,
    message: error?.message ?? '',
  };
}

builder.mutationFields((t) => ({
  uploadFile: t.field({
    type: UploadFilePayload,
    nullable: true,
    description:
      'Stores a file and shows it to the room, whole and checked, or not at all. FILE_TOO_LARGE, FILE_TYPE_NOT_ALLOWED, UPLOAD_INCOMPLETE.',
    args: { input: t.arg({ type: UploadFileInput, required: true, description: 'The file.' }) },
    resolve: (_root, { input }, ctx) => {
      const viewer = ctx.signedIn();
      return ctx.wrote(
        ctx.services.files.uploads.one(viewer.id, {
          roomId: decodeId('Room', input.roomId, 'input.roomId'),
          file: input.file,
          idempotencyKey: input.idempotencyKey ?? null,
        }),
      );
    },
  }),
  uploadFiles: t.field({
    type: UploadFilesPayload,
    nullable: true,
    description: 'Stores several files of one request, each for itself.',
    args: { input: t.arg({ type: UploadFilesInput, required: true, description: 'The files.' }) },
    resolve: async (_root, { input }, ctx) => {
      const viewer = ctx.signedIn();
      const outcomes = await ctx.wrote(
        ctx.services.files.uploads.many(viewer.id, {
          roomId: decodeId('Room', input.roomId, 'input.roomId'),
          files: input.files,
          idempotencyKey: input.idempotencyKey ?? null,
        }),
      );
      return { outcomes: outcomes.map((outcome) => shown(ctx, outcome)) };
    },
  }),
  deleteFile: t.field({
    type: DeleteFilePayload,
    nullable: true,
    description: 'Deletes a file, and with it every link to it. For its uploader, owners and moderators.',
    args: { input: t.arg({ type: DeleteFileInput, required: true, description: 'The file.' }) },
    resolve: (_root, { input }, ctx) => {
      const viewer = ctx.signedIn();
      return ctx.wrote(ctx.services.files.delete(viewer.id, decodeId('File', input.fileId, 'input.fileId')));
    },
  }),
}));

const FileAdded = roomEvent('FileAdded', 'A file was uploaded.');
const FileChanged = roomEvent(
  'FileChanged',
  'What is found out of a file, and made of it, is there: `image`, `video`, `audio` or `pdf`. Its bytes are as they were.',
);
const FileDeleted = roomEvent('FileDeleted', 'A file was deleted.');

for (const ref of [FileAdded, FileChanged, FileDeleted]) {
  builder.objectField(ref, 'fileId', (t) =>
    t.id({
      description: 'Id of the file.',
      resolve: (event) => encodeId('File', subject(event.file_id, event)),
    }),
  );
}
for (const ref of [FileAdded, FileChanged]) {
  builder.objectField(ref, 'file', (t) =>
    t.field({
      type: File,
      nullable: true,
      description: 'The file; null in a replay when it was deleted since.',
      resolve: (event, _args, ctx) => fileOf(ctx, subject(event.file_id, event)),
    }),
  );
}

builder.subscriptionField('fileAdded', (t) =>
  t.field({
    type: FileAdded,
    description:
      'New files of a room. Always pass `after` (FileConnection.eventCursor at first) where nothing may be missed: this feed sends no Checkpoint.',
    args: {
      roomId: t.arg.id({ required: true, description: 'Id of a room that you are in.' }),
      after: t.arg.string({ description: 'An event cursor of this room: first what was missed, then live.' }),
    },
    subscribe: (_root, { roomId, after }, ctx) =>
      ctx.services.rooms.watch(
        ctx.signedIn().id,
        decodeId('Room', roomId, 'roomId'),
        ctx.resumeAfter({
          after,
          only: 'FILE_ADDED',
        }),
      ),
    // `only` leaves no other kind.
    resolve: (event) => event as Extract<typeof event, { kind: 'FILE_ADDED' }>,
  }),
);
