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
      description: 'true while they type, again before `expiresAt`; false when they stop.',
    }),
  }),
});

const SetTypingPayload = builder.objectRef<{ expiresAt: Date | null }>('SetTypingPayload').implement({
  description: 'How long the room takes the viewer for typing.',
  fields: (t) => ({
    expiresAt: t.expose('expiresAt', {
      type: 'DateTime',
      nullable: true,
      description: 'Send again before it; null after typing: false.',
    }),
  }),
});

const TypingChanged = builder.objectRef<TypingChange>('TypingChanged').implement({
  description: 'Someone began, goes on or stopped typing.',
  fields: (t) => ({
    user: t.field({
      type: User,
      description: 'Who.',
      resolve: ({ userId }, _args, ctx) => userOf(ctx, userId),
    }),
    typing: t.exposeBoolean('typing', { description: 'Whether they type now.' }),
    expiresAt: t.expose('expiresAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When they are taken to have stopped unless heard of again; null when they stopped.',
    }),
  }),
});

builder.mutationField('setTyping', (t) =>
  t.field({
    type: SetTypingPayload,
    nullable: true,
    description: 'Tells the room that the viewer types or stopped. Ephemeral, and throttled by the server.',
    args: { input: t.arg({ type: SetTypingInput, required: true, description: 'Where, and whether.' }) },
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
      "Ephemeral: never stored, never replayed, one's own included. A typist who falls silent is sent with typing: false after 6 seconds.",
    args: { roomId: t.arg.id({ required: true, description: 'Id of a room that you are in.' }) },
    subscribe: (_root, { roomId }, ctx) =>
      ctx.services.typing.watch(ctx.signedIn().id, decodeId('Room', roomId, 'roomId')),
    resolve: (change) => change,
  }),
);
