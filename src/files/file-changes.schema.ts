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
        'Chosen by the client, per user: sending the same key, room, name and bytes again returns the first result instead of storing the file twice; with anything different it is CONFLICT.',
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
      description: `The files, at most ${limits.filesPerRequest}, in any order.`,
    }),
    idempotencyKey: t.string({
      validate: idempotencyKey,
      description:
        'Chosen by the client, per user, and applied to each file with its index: sending all files again with the same key stores those that failed, and returns the first result for the others.',
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
  description: 'A file that was not stored, and why.',
  fields: (t) => ({
    name: t.exposeString('name', { description: 'The name of the file; empty if the file never arrived.' }),
    code: t.expose('code', { type: ErrorCodeEnum, description: 'Why it was rejected, for programs.' }),
    message: t.exposeString('message', { description: 'Why it was rejected, for people.' }),
  }),
});

const UploadOutcomeUnion = builder.unionType('UploadOutcome', {
  description: 'The result for one of several files.',
  types: [UploadedFile, RejectedFile],
  resolveType: (outcome) => ('fileId' in outcome ? UploadedFile : RejectedFile),
});

const UploadFilesPayload = builder
  .objectRef<{ outcomes: (FileWritten | Rejected)[] }>('UploadFilesPayload')
  .implement({
    description: 'The result for each of the files.',
    fields: (t) => ({
      outcomes: t.field({
        type: [UploadOutcomeUnion],
        description:
          'One result for each file, in the order of the input. A file that is rejected does not affect the others.',
        complexity: { field: 1, multiplier: limits.filesPerRequest },
        resolve: ({ outcomes }) => outcomes,
      }),
    }),
  });

const DeleteFilePayload = builder.objectRef<FileWritten>('DeleteFilePayload').implement({
  description: 'The file that was deleted.',
  fields: (t) => ({
    deletedFileId: t.id({
      description: 'Id of the deleted file.',
      resolve: ({ fileId }) => encodeId('File', fileId),
    }),
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
      'Uploads a file to a room. It appears complete and checked, or not at all. Can fail with FILE_TOO_LARGE, FILE_TYPE_NOT_ALLOWED, FILE_INFECTED, QUOTA_EXCEEDED or UPLOAD_INCOMPLETE.',
    args: { input: t.arg({ type: UploadFileInput, required: true, description: 'The file.' }) },
    resolve: (_root, { input }, ctx) => {
      const viewer = ctx.signedIn();
      ctx.count('uploads');
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
    description: 'Uploads several files to a room in one request. Each is stored or rejected on its own.',
    args: { input: t.arg({ type: UploadFilesInput, required: true, description: 'The files.' }) },
    resolve: async (_root, { input }, ctx) => {
      const viewer = ctx.signedIn();
      ctx.count('uploads', input.files.length);
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
    description: 'Deletes a file; links to it stop working. Only its uploader, owners and moderators can.',
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
  'Metadata or previews of a file became available: `image`, `video`, `audio` or `pdf`. Its bytes have not changed.',
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
      description: 'The file; null in a replay if it has been deleted since.',
      resolve: (event, _args, ctx) => fileOf(ctx, subject(event.file_id, event)),
    }),
  );
}

builder.subscriptionField('fileAdded', (t) =>
  t.field({
    type: FileAdded,
    description:
      'New files of a room. To miss nothing, always pass `after`, at first FileConnection.eventCursor. This subscription sends no Checkpoint.',
    args: {
      roomId: t.arg.id({ required: true, description: 'Id of a room that you are in.' }),
      after: t.arg.string({ description: 'An event cursor of this room: begin with what came after it.' }),
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
