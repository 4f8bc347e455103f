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
  description: 'How far an upload over several requests is.',
  values: {
    RECEIVING: { description: 'Bytes are still to come.' },
    PROCESSING: { description: 'All bytes are there, and are being checked.' },
    DONE: { description: 'The file is in its room.' },
    REFUSED: { description: 'Nothing was kept; `code` and `message` say why.' },
    EXPIRED: { description: 'It was left alone for a day before it was complete. Nothing was kept.' },
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
    number: t.exposeInt('number', { description: 'From 1 on.' }),
    size: t.expose('size', { type: 'SafeInt', description: 'Its bytes, exactly.' }),
    url: t.expose('url', {
      type: 'URL',
      description: 'Takes the part by PUT. Keep the `ETag` of the answer for completeDirectUpload.',
    }),
    expiresAt: t.expose('expiresAt', {
      type: 'DateTime',
      description: 'Ask for another address before then.',
    }),
  }),
});

const UploadTokenRef = builder.objectRef<{ token: string; expiresAt: Date }>('UploadToken').implement({
  description: 'What lets a client send the bytes of one upload, and nothing else.',
  fields: (t) => ({
    token: t.exposeString('token', { description: 'For `Authorization: Bearer …` on `url`.' }),
    expiresAt: t.expose('expiresAt', { type: 'DateTime', description: 'Ask for another one before then.' }),
  }),
});

const UploadSession = builder.objectRef<FoundUpload>('UploadSession');

builder.node(UploadSession, {
  description: 'An upload over several requests. Only its owner sees it, for a week after it is over.',
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
    size: t.expose('size', { type: 'SafeInt', description: 'Bytes that were announced.' }),
    state: t.field({ type: UploadStateEnum, description: 'How far it is.', resolve: stateOf }),
    offset: t.field({
      type: 'SafeInt',
      description: 'Bytes that are stored. A request under way has a few more on the way.',
      resolve: ({ received }) => received,
    }),
    url: t.field({
      type: 'URL',
      nullable: true,
      description:
        'Where its bytes are sent, by tus 1.0. Null once they have all come, it has expired, or it is sent in parts.',
      resolve: (upload, _args, ctx) =>
        isSentHere(upload) ? ctx.services.uploadSessions.address(encodeId('UploadSession', upload.id)) : null,
    }),
    token: t.field({
      type: UploadTokenRef,
      nullable: true,
      description: 'A fresh token for `url`; null where that is.',
      resolve: (upload, _args, ctx) =>
        isSentHere(upload) ? ctx.services.uploadSessions.token(upload.id) : null,
    }),
    expiresAt: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'When it expires unless more bytes come before; null once they have all come.',
      resolve: (upload) => (stateOf(upload) === 'RECEIVING' ? upload.expires_at : null),
    }),
    partCount: t.int({
      nullable: true,
      description: 'Parts that it is sent in, to the bucket directly; null where it is sent to `url`.',
      resolve: ({ is_direct, size }) => (is_direct ? new PartPlan(size).count : null),
    }),
    parts: t.field({
      type: [UploadPart],
      nullable: true,
      description:
        'Addresses for these parts, 100 at most; for the first ones when none are named. Null once all have come, and where it is sent to `url`.',
      complexity: { field: 1, multiplier: 100 },
      args: { numbers: t.arg.intList({ description: 'From 1 on.' }) },
      resolve: (upload, { numbers }, ctx) =>
        upload.is_direct && stateOf(upload) === 'RECEIVING'
          ? ctx.services.uploadSessions.parts(upload, numbers ?? null)
          : null,
    }),
    file: t.field({
      type: File,
      nullable: true,
      description: 'The file, once it is done, unless it was deleted since or you are in the room no more.',
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
    description: 'What became of an upload over several requests; null for any but your own.',
    args: { id: t.arg.id({ required: true, description: 'Id of the UploadSession.' }) },
    resolve: async (_root, { id }, ctx) => {
      const uploadId = decodeId('UploadSession', id, 'id');
      if (ctx.viewer === undefined) return null;
      return (await ctx.services.uploadSessions.find(ctx.viewer.id, uploadId)) ?? null;
    },
  }),
);

const CreateUploadInput = builder.inputType('CreateUploadInput', {
  description: 'A file that is going to be sent over several requests.',
  fields: (t) => ({
    roomId: t.id({ required: true, description: 'Id of a room that you are in.' }),
    name: t.string({
      required: true,
      validate: text.max(1024, 'A name has 1024 characters at most.'),
      description: 'What it is called. Made safe as the name of any file is.',
    }),
    size: t.field({ type: 'SafeInt', required: true, description: 'Its bytes, exactly.' }),
    mimeType: t.string({
      validate: text.max(255, 'A media type has 255 characters at most.').nullish(),
      description: 'What it is said to be. Its type is judged by its content.',
    }),
    idempotencyKey: t.string({
      validate: idempotencyKey,
      description: 'Per user: the same key and input answer the same upload; with others it is CONFLICT.',
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
  'The upload that was begun.',
  'Send its bytes to `url`, with `token`.',
);
const CreateDirectUploadPayload = payload(
  'CreateDirectUploadPayload',
  'The upload that was begun.',
  'Send each of its `parts` to its address.',
);
const CompleteDirectUploadPayload = payload(
  'CompleteDirectUploadPayload',
  'The upload that was sent.',
  'Ask for it until it is done or refused.',
);

const UploadedPartInput = builder.inputType('UploadedPartInput', {
  description: 'A part that is in the bucket.',
  fields: (t) => ({
    number: t.int({ required: true, description: 'Its number.' }),
    etag: t.string({
      required: true,
      validate: text.max(200, 'An ETag has 200 characters at most.'),
      description: 'What the bucket answered as `ETag`, with its quotes.',
    }),
  }),
});

const CompleteDirectUploadInput = builder.inputType('CompleteDirectUploadInput', {
  description: 'An upload whose parts are all in the bucket.',
  fields: (t) => ({
    uploadId: t.id({ required: true, description: 'Id of the UploadSession.' }),
    parts: t.field({ type: [UploadedPartInput], required: true, description: 'Each of them, once.' }),
  }),
});

const CancelUploadInput = builder.inputType('CancelUploadInput', {
  description: 'The upload to end.',
  fields: (t) => ({ uploadId: t.id({ required: true, description: 'Id of the UploadSession.' }) }),
});

const CancelUploadPayload = builder.objectRef<{ uploadId: string }>('CancelUploadPayload').implement({
  description: 'The upload that was ended.',
  fields: (t) => ({
    cancelledUploadId: t.id({
      description: 'Its id.',
      resolve: ({ uploadId }) => encodeId('UploadSession', uploadId),
    }),
  }),
});

builder.mutationFields((t) => ({
  createUpload: t.field({
    type: CreateUploadPayload,
    nullable: true,
    description:
      'Begins an upload that goes on where it was cut off, by tus 1.0. Refused here: FORBIDDEN, FILE_TOO_LARGE, QUOTA_EXCEEDED; its type is judged when all bytes are there, and `upload` tells.',
    args: { input: t.arg({ type: CreateUploadInput, required: true, description: 'The file.' }) },
    resolve: async (_root, { input }, ctx) => {
      const viewer = ctx.signedIn();
      return { upload: await ctx.services.uploadSessions.create(viewer.id, announced(input)) };
    },
  }),
  createDirectUpload: t.field({
    type: CreateDirectUploadPayload,
    nullable: true,
    description:
      'The same for a file that the client sends to the bucket itself, in parts. BAD_REQUEST where files lie in no bucket.',
    args: { input: t.arg({ type: CreateUploadInput, required: true, description: 'The file.' }) },
    resolve: async (_root, { input }, ctx) => {
      const viewer = ctx.signedIn();
      return { upload: await ctx.services.uploadSessions.createDirect(viewer.id, announced(input)) };
    },
  }),
  completeDirectUpload: t.field({
    type: CompleteDirectUploadPayload,
    nullable: true,
    description:
      'Says that all parts are in the bucket. The file is checked then, and `upload` tells what became of it.',
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
      'Ends an upload before it is complete; nothing is left of it. CONFLICT for one that is complete.',
    args: { input: t.arg({ type: CancelUploadInput, required: true, description: 'The upload.' }) },
    resolve: async (_root, { input }, ctx) => {
      const viewer = ctx.signedIn();
      const uploadId = decodeId('UploadSession', input.uploadId, 'input.uploadId');
      await ctx.services.uploadSessions.cancel(viewer.id, uploadId);
      return { uploadId };
    },
  }),
}));
