import { builder } from '../../graphql/builder.js';
import { decodeId, encodeId } from '../../graphql/ids.js';
import { idempotencyKey } from '../../graphql/idempotency-key.js';
import { text } from '../../graphql/text.js';
import { visibleNodes } from '../../graphql/visible-nodes.js';
import { viewerReads } from '../../rooms/rooms.schema.js';
import type { ErrorCode } from '../../errors.js';
import { ErrorCodeEnum } from '../error-code.schema.js';
import { File, fileOf } from '../files.schema.js';
import { PartPlan } from '../storage/direct.js';
import type { AnnouncedFile, PartAddress, UploadSessions } from './upload-sessions.js';
import type { FoundUpload } from './upload-sessions.queries.js';

declare module '../../graphql/context.js' {
  interface Services {
    uploadSessions: UploadSessions;
  }
}

const UploadStateEnum = builder.enumType('UploadState', {
  description: 'The state of an upload over several requests.',
  values: {
    RECEIVING: { description: 'Bytes are still to come.' },
    PROCESSING: { description: 'All bytes have arrived, and are being checked.' },
    DONE: { description: 'The file is in its room.' },
    REFUSED: { description: 'The file was not stored; `code` and `message` say why.' },
    EXPIRED: { description: 'Nothing arrived for a day before it was complete. Nothing was stored.' },
  } as const,
});

type State = typeof UploadStateEnum.$inferType;

const stateOf = ({ state, has_expired }: FoundUpload): State =>
  state === 'RECEIVING' && has_expired ? 'EXPIRED' : state;

/** By tus, and not over. */
const isSentHere = (upload: FoundUpload): boolean => stateOf(upload) === 'RECEIVING' && !upload.is_direct;

const UploadPart = builder.objectRef<PartAddress>('UploadPart').implement({
  description: 'A part of an upload that is sent to the bucket directly.',
  fields: (t) => ({
    number: t.exposeInt('number', { description: 'The number of the part; the first is 1.' }),
    size: t.expose('size', { type: 'SafeInt', description: 'The exact size of the part in bytes.' }),
    url: t.expose('url', {
      type: 'URL',
      description: 'Send the part here with PUT. Keep the `ETag` of the answer for completeDirectUpload.',
    }),
    expiresAt: t.expose('expiresAt', {
      type: 'DateTime',
      description: 'When the address expires: ask for another one before then.',
    }),
  }),
});

const UploadTokenRef = builder.objectRef<{ token: string; expiresAt: Date }>('UploadToken').implement({
  description: 'A token that lets a client send the bytes of one upload, and nothing else.',
  fields: (t) => ({
    token: t.exposeString('token', { description: 'Send it as `Authorization: Bearer …` to `url`.' }),
    expiresAt: t.expose('expiresAt', {
      type: 'DateTime',
      description: 'When the token expires: ask for another one before then.',
    }),
  }),
});

const UploadSession = builder.objectRef<FoundUpload>('UploadSession');

builder.node(UploadSession, {
  description:
    'An upload over several requests. Only the user who created it can see it, until a week after it has ended.',
  id: { resolve: (upload) => upload.id, description: 'Global id, opaque and URL-safe.' },
  loadMany: visibleNodes('UploadSession', async (id, ctx) =>
    ctx.viewer === undefined ? null : ctx.services.uploadSessions.find(ctx.viewer.id, id),
  ),
  fields: (t) => ({
    roomId: t.id({
      description: 'Id of the room that the file is for.',
      resolve: ({ room_id }) => encodeId('Room', room_id),
    }),
    name: t.exposeString('name', { description: 'The name that the file will have.' }),
    size: t.expose('size', { type: 'SafeInt', description: 'The announced size of the file in bytes.' }),
    state: t.field({ type: UploadStateEnum, description: 'The state of the upload.', resolve: stateOf }),
    offset: t.field({
      type: 'SafeInt',
      description: 'Number of bytes that are stored. A request in progress may have a few more under way.',
      resolve: ({ received }) => received,
    }),
    url: t.field({
      type: 'URL',
      nullable: true,
      description:
        'Where to send the bytes, with tus 1.0. Null if all bytes have arrived, if the upload has expired, and if it is sent in parts.',
      resolve: (upload, _args, ctx) =>
        isSentHere(upload) ? ctx.services.uploadSessions.address(encodeId('UploadSession', upload.id)) : null,
    }),
    token: t.field({
      type: UploadTokenRef,
      nullable: true,
      description: 'A fresh token for `url`; null if `url` is null.',
      resolve: (upload, _args, ctx) =>
        isSentHere(upload) ? ctx.services.uploadSessions.token(upload.id) : null,
    }),
    expiresAt: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'When the upload expires unless more bytes arrive before; null once all have arrived.',
      resolve: (upload) => (stateOf(upload) === 'RECEIVING' ? upload.expires_at : null),
    }),
    partCount: t.int({
      nullable: true,
      description:
        'Number of parts in which the file is sent directly to the bucket; null if it is sent to `url` instead.',
      resolve: ({ is_direct, size }) => (is_direct ? new PartPlan(size).count : null),
    }),
    parts: t.field({
      type: [UploadPart],
      nullable: true,
      description:
        'The requested parts with their addresses, at most 100; the first 100 if `numbers` is left out. Null once all bytes have arrived, and if the file is sent to `url` instead.',
      complexity: { field: 1, multiplier: 100 },
      args: { numbers: t.arg.intList({ description: 'Numbers of parts; the first is 1.' }) },
      resolve: (upload, { numbers }, ctx) =>
        upload.is_direct && stateOf(upload) === 'RECEIVING'
          ? ctx.services.uploadSessions.parts(upload, numbers ?? null)
          : null,
    }),
    file: t.field({
      type: File,
      nullable: true,
      description:
        'The file, once the upload is done. Null if it has been deleted since, or the viewer has left the room.',
      resolve: async ({ file_id, room_id }, _args, ctx) =>
        file_id !== null && (await viewerReads(ctx, room_id)) ? fileOf(ctx, file_id) : null,
    }),
    code: t.field({
      type: ErrorCodeEnum,
      nullable: true,
      description: 'Why it was refused, for programs.',
      resolve: ({ code }) => code as ErrorCode | null,
    }),
    message: t.exposeString('message', { nullable: true, description: 'Why it was refused, for people.' }),
  }),
});

builder.queryField('upload', (t) =>
  t.field({
    type: UploadSession,
    nullable: true,
    description: 'An upload over several requests that the viewer created; null for those of others.',
    args: { id: t.arg.id({ required: true, description: 'Id of the UploadSession.' }) },
    resolve: async (_root, { id }, ctx) => {
      const uploadId = decodeId('UploadSession', id, 'id');
      if (ctx.viewer === undefined) return null;
      return (await ctx.services.uploadSessions.find(ctx.viewer.id, uploadId)) ?? null;
    },
  }),
);

const CreateUploadInput = builder.inputType('CreateUploadInput', {
  description: 'A file to be sent over several requests.',
  fields: (t) => ({
    roomId: t.id({ required: true, description: 'Id of a room that you are in.' }),
    name: t.string({
      required: true,
      validate: text.max(1024, 'A name can have at most 1024 characters.'),
      description: 'The name of the file. Folders and unsafe characters are removed from it.',
    }),
    size: t.field({ type: 'SafeInt', required: true, description: 'The exact size of the file in bytes.' }),
    mimeType: t.string({
      validate: text.max(255, 'A media type can have at most 255 characters.').nullish(),
      description: 'The media type that the client claims. What counts is the content of the file.',
    }),
    idempotencyKey: t.string({
      validate: idempotencyKey,
      description:
        'Chosen by the client, per user: sending the same key and input again returns the same upload; with different input it is CONFLICT.',
    }),
  }),
});

/** What a client says of the file, as the service takes it. */
const announced = (input: typeof CreateUploadInput.$inferInput): AnnouncedFile => ({
  roomId: decodeId('Room', input.roomId, 'input.roomId'),
  name: input.name,
  size: input.size,
  mimeType: input.mimeType ?? '',
  idempotencyKey: input.idempotencyKey ?? null,
});

const payload = (name: string, description: string, what: string) =>
  builder.objectRef<{ upload: FoundUpload }>(name).implement({
    description,
    fields: (t) => ({
      upload: t.field({ type: UploadSession, description: what, resolve: ({ upload }) => upload }),
    }),
  });

const CreateUploadPayload = payload(
  'CreateUploadPayload',
  'The upload that was created.',
  'The upload. Send the bytes of the file to its `url`, with its `token`.',
);
const CreateDirectUploadPayload = payload(
  'CreateDirectUploadPayload',
  'The upload that was created.',
  'The upload. Send each of its `parts` to the address of the part.',
);
const CompleteDirectUploadPayload = payload(
  'CompleteDirectUploadPayload',
  'The upload that is now being checked.',
  'The upload. Query it until its state is DONE or REFUSED.',
);

const UploadedPartInput = builder.inputType('UploadedPartInput', {
  description: 'A part that is in the bucket.',
  fields: (t) => ({
    number: t.int({ required: true, description: 'The number of the part.' }),
    etag: t.string({
      required: true,
      validate: text.max(200, 'An ETag can have at most 200 characters.'),
      description: 'The `ETag` that the bucket returned, including its quotes.',
    }),
  }),
});

const CompleteDirectUploadInput = builder.inputType('CompleteDirectUploadInput', {
  description: 'An upload whose parts are all in the bucket.',
  fields: (t) => ({
    uploadId: t.id({ required: true, description: 'Id of the UploadSession.' }),
    parts: t.field({
      type: [UploadedPartInput],
      required: true,
      description: 'Every part of the upload, exactly once.',
    }),
  }),
});

const CancelUploadInput = builder.inputType('CancelUploadInput', {
  description: 'The upload to cancel.',
  fields: (t) => ({ uploadId: t.id({ required: true, description: 'Id of the UploadSession.' }) }),
});

const CancelUploadPayload = builder.objectRef<{ uploadId: string }>('CancelUploadPayload').implement({
  description: 'The upload that was cancelled.',
  fields: (t) => ({
    cancelledUploadId: t.id({
      description: 'Id of the cancelled upload.',
      resolve: ({ uploadId }) => encodeId('UploadSession', uploadId),
    }),
  }),
});

builder.mutationFields((t) => ({
  createUpload: t.field({
    type: CreateUploadPayload,
    nullable: true,
    description:
      'Begins an upload that can resume where it was cut off, with tus 1.0. Fails at once with FORBIDDEN, FILE_TOO_LARGE or QUOTA_EXCEEDED. The type is checked when all bytes have arrived; the query `upload` returns the result.',
    args: { input: t.arg({ type: CreateUploadInput, required: true, description: 'The file.' }) },
    resolve: async (_root, { input }, ctx) => {
      const viewer = ctx.signedIn();
      ctx.count('uploads');
      return { upload: await ctx.services.uploadSessions.create(viewer.id, announced(input)) };
    },
  }),
  createDirectUpload: t.field({
    type: CreateDirectUploadPayload,
    nullable: true,
    description:
      "Begins an upload of which the client sends the parts directly to the server's S3 bucket. Fails at once with FORBIDDEN, FILE_TOO_LARGE or QUOTA_EXCEEDED, and with BAD_REQUEST if the server does not store files in a bucket. Call completeDirectUpload when all parts are sent.",
    args: { input: t.arg({ type: CreateUploadInput, required: true, description: 'The file.' }) },
    resolve: async (_root, { input }, ctx) => {
      const viewer = ctx.signedIn();
      ctx.count('uploads');
      return { upload: await ctx.services.uploadSessions.createDirect(viewer.id, announced(input)) };
    },
  }),
  completeDirectUpload: t.field({
    type: CompleteDirectUploadPayload,
    nullable: true,
    description:
      'Tells the server that all parts are in the bucket. The file is then checked; the query `upload` returns the result.',
    args: { input: t.arg({ type: CompleteDirectUploadInput, required: true, description: 'The parts.' }) },
    resolve: async (_root, { input }, ctx) => {
      const viewer = ctx.signedIn();
      const id = decodeId('UploadSession', input.uploadId, 'input.uploadId');
      return { upload: await ctx.services.uploadSessions.completeDirect(viewer.id, id, input.parts) };
    },
  }),
  cancelUpload: t.field({
    type: CancelUploadPayload,
    nullable: true,
    description:
      'Cancels an upload before it is complete; nothing of it is kept. CONFLICT if it is complete already.',
    args: { input: t.arg({ type: CancelUploadInput, required: true, description: 'The upload.' }) },
    resolve: async (_root, { input }, ctx) => {
      const viewer = ctx.signedIn();
      const uploadId = decodeId('UploadSession', input.uploadId, 'input.uploadId');
      await ctx.services.uploadSessions.cancel(viewer.id, uploadId);
      return { uploadId };
    },
  }),
}));
