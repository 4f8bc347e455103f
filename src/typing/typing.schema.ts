import { User, userOf } from '../accounts/accounts.schema.js';
import { builder } from '../graphql/builder.js';
import { decodeId } from '../graphql/ids.js';
import type { TypingChange } from './room-typing.js';
import type { TypingService } from './typing.service.js';

declare module '../graphql/context.js' {
  interface Services {
    typing: TypingService;
  }
}

const SetTypingInput = builder.inputType('SetTypingInput', {
  description: 'Whether the viewer is typing in a room.',
  fields: (t) => ({
    roomId: t.id({ required: true, description: 'Id of a room that you are in.' }),
    typing: t.boolean({
      required: true,
      description: 'true while the viewer types, sent again before `expiresAt`; false when they stop.',
    }),
  }),
});

const SetTypingPayload = builder.objectRef<{ expiresAt: Date | null }>('SetTypingPayload').implement({
  description: 'How long the room shows the viewer as typing.',
  fields: (t) => ({
    expiresAt: t.expose('expiresAt', {
      type: 'DateTime',
      nullable: true,
      description: 'Send `typing: true` again before this time; null after `typing: false`.',
    }),
  }),
});

const TypingChanged = builder.objectRef<TypingChange>('TypingChanged').implement({
  description: 'Someone started, is still or stopped typing.',
  fields: (t) => ({
    user: t.field({
      type: User,
      description: 'Who is typing or stopped.',
      resolve: ({ userId }, _args, ctx) => userOf(ctx, userId),
    }),
    typing: t.exposeBoolean('typing', { description: 'Whether they are typing now.' }),
    expiresAt: t.expose('expiresAt', {
      type: 'DateTime',
      nullable: true,
      description:
        'When to take them as having stopped, unless another event comes before; null if they stopped.',
    }),
  }),
});

builder.mutationField('setTyping', (t) =>
  t.field({
    type: SetTypingPayload,
    nullable: true,
    description:
      'Tells the room that the viewer is typing or stopped. Never stored, and throttled by the server.',
    args: {
      input: t.arg({
        type: SetTypingInput,
        required: true,
        description: 'The room, and whether the viewer is typing.',
      }),
    },
    resolve: async (_root, { input }, ctx) => {
      const viewer = ctx.signedIn();
      const roomId = decodeId('Room', input.roomId, 'input.roomId');
      return { expiresAt: await ctx.services.typing.set(viewer.id, roomId, input.typing) };
    },
  }),
);

builder.subscriptionField('typing', (t) =>
  t.field({
    type: TypingChanged,
    description:
      'Who is typing in a room, including the viewer. Never stored and never replayed. Someone who is not heard of for 6 seconds is sent with `typing: false`.',
    args: { roomId: t.arg.id({ required: true, description: 'Id of a room that you are in.' }) },
    subscribe: (_root, { roomId }, ctx) =>
      ctx.services.typing.watch(ctx.signedIn().id, decodeId('Room', roomId, 'roomId')),
    resolve: (change) => change,
  }),
);
