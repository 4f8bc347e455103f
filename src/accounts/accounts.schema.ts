import { z } from 'zod';
import type { UserRow } from '../db/tables.js';
import { ParleyError } from '../errors.js';
import { builder } from '../graphql/builder.js';
import { defineLoader, type Context } from '../graphql/context.js';
import { encodeId } from '../graphql/ids.js';
import { text } from '../graphql/text.js';
import { visibleNodes } from '../graphql/visible-nodes.js';
import type { PublicUser } from './accounts.queries.js';
import type { AccountsService, NewSession } from './accounts.service.js';

declare module '../graphql/context.js' {
  interface Services {
    accounts: AccountsService;
  }
}

const loadUser = defineLoader((ids: readonly string[], ctx) => ctx.services.accounts.users(ids));

/** Remembers for this context what is known of users, so that nobody asks for them. */
export function rememberUsers(ctx: Context, users: Iterable<PublicUser>): void {
  for (const user of users) loadUser(ctx).prime(user.id, user);
}

/** A user that something refers to. Users are never removed, so one that is missing is a defect. */
export async function userOf(ctx: Context, id: string): Promise<PublicUser> {
  const user = await loadUser(ctx).load(id);
  if (user === undefined) throw new Error(`user ${id} is missing`);
  return user;
}

export const User = builder.objectRef<PublicUser>('User');

builder.node(User, {
  description:
    'Someone with an account, as others see them. Never removed: a closed account keeps its id, with a neutral handle and name.',
  id: { resolve: (user) => user.id, description: 'Global id, opaque and URL-safe.' },
  loadMany: visibleNodes('User', async (id, ctx) =>
    ctx.viewer === undefined ? null : loadUser(ctx).load(id),
  ),
  fields: (t) => ({
    handle: t.exposeString('handle', {
      description: 'Unique short name, lower case: `a-z`, `0-9`, `_` and `-`.',
    }),
    name: t.exposeString('name', { description: 'The name that people read.' }),
    createdAt: t.field({
      type: 'DateTime',
      description: 'When the account was made.',
      resolve: (user) => user.created_at,
    }),
  }),
});

export const Viewer = builder.objectRef<UserRow>('Viewer');

builder.node(Viewer, {
  description: 'What only the signed-in user sees of themselves.',
  id: { resolve: (account) => account.id, description: 'Global id, opaque and URL-safe.' },
  loadMany: visibleNodes('Viewer', async (id, ctx) =>
    id === ctx.viewer?.id ? ctx.services.accounts.account(id) : null,
  ),
  fields: (t) => ({
    user: t.field({
      type: User,
      description: 'The viewer as others see them.',
      resolve: (account) => account,
    }),
    email: t.string({
      description:
        'The address that the viewer signs in with; empty for a user of an identity provider that gave none.',
      resolve: (account) => account.email ?? '',
    }),
  }),
});

builder.queryFields((t) => ({
  viewer: t.field({
    type: Viewer,
    nullable: true,
    description: 'The signed-in user; null when signed out.',
    resolve: (_root, _args, ctx) =>
      ctx.viewer === undefined ? null : ctx.services.accounts.account(ctx.viewer.id),
  }),
  userByHandle: t.field({
    type: User,
    nullable: true,
    description: 'The user with this handle; null when there is none, or when signed out.',
    args: {
      handle: t.arg.string({ required: true, validate: text, description: 'The handle, in any case.' }),
    },
    resolve: (_root, { handle }, ctx) =>
      ctx.viewer === undefined ? null : ctx.services.accounts.userByHandle(handle),
  }),
}));

const Session = builder.objectRef<NewSession>('Session').implement({
  description: 'A sign-in: a short-lived access token, and a refresh token to get the next one.',
  fields: (t) => ({
    accessToken: t.exposeString('accessToken', {
      description: 'A JWT for `Authorization: Bearer …`, or `authorization` in connectionParams.',
    }),
    accessTokenExpiresAt: t.expose('accessTokenExpiresAt', {
      type: 'DateTime',
      description: 'Refresh before then.',
    }),
    refreshToken: t.exposeString('refreshToken', {
      description: 'Good for one `refreshSession`. Keep it secret.',
    }),
    refreshTokenExpiresAt: t.expose('refreshTokenExpiresAt', {
      type: 'DateTime',
      description: 'When the sign-in ends for good, however often it is refreshed.',
    }),
    user: t.field({
      type: User,
      description: 'Who is signed in.',
      resolve: (session, _args, ctx) => userOf(ctx, session.userId),
    }),
  }),
});

const anyEmail = text.max(254, 'An e-mail has 254 characters at most.');
const email = anyEmail.pipe(z.email('This is no e-mail address.'));
const password = z
  .string()
  .min(8, 'A password has at least 8 characters.')
  .max(256, 'A password has 256 characters at most.');
const handle = z
  .string()
  .regex(
    /^[a-z0-9][a-z0-9_-]{1,31}$/,
    'A handle has 2 to 32 of a-z, 0-9, _ and -, the first a letter or digit.',
  );
const name = text
  .min(1, 'A name has at least 1 character.')
  .max(100, 'A name has 100 characters at most.')
  .refine((value) => value.trim() === value && value !== '', 'A name neither begins nor ends with a space.');

const SignUpInput = builder.inputType('SignUpInput', {
  description: 'A new account.',
  fields: (t) => ({
    email: t.string({ required: true, validate: email, description: 'Compared without regard to case.' }),
    password: t.string({ required: true, validate: password, description: '8 to 256 characters.' }),
    handle: t.string({
      required: true,
      validate: handle,
      description: 'Unique: 2 to 32 of `a-z`, `0-9`, `_` and `-`.',
    }),
    name: t.string({
      required: true,
      validate: name,
      description: 'The name that people read, 1 to 100 characters.',
    }),
  }),
});

const SignInInput = builder.inputType('SignInInput', {
  description: 'An e-mail and its password.',
  fields: (t) => ({
    email: t.string({ required: true, validate: anyEmail, description: 'In any case.' }),
    password: t.string({
      required: true,
      validate: z.string().max(256, 'A password has 256 characters at most.'),
      description: 'The password.',
    }),
  }),
});

const RefreshSessionInput = builder.inputType('RefreshSessionInput', {
  description: 'The refresh token to spend.',
  fields: (t) => ({
    refreshToken: t.string({ required: true, description: 'The newest one of the sign-in.' }),
  }),
});

const SignOutInput = builder.inputType('SignOutInput', {
  description: 'The sign-in to end.',
  fields: (t) => ({
    refreshToken: t.string({ required: true, description: 'Any refresh token of the sign-in.' }),
  }),
});

const RenewConnectionInput = builder.inputType('RenewConnectionInput', {
  description: 'A fresh token for the connection that this is sent over.',
  fields: (t) => ({
    accessToken: t.string({
      required: true,
      description: 'Of the same user as the one that the connection began with.',
    }),
  }),
});

const RenewConnectionPayload = builder.objectRef<{ expiresAt: Date }>('RenewConnectionPayload').implement({
  description: 'How long the connection goes on.',
  fields: (t) => ({
    expiresAt: t.expose('expiresAt', {
      type: 'DateTime',
      description: 'When it is closed with 4403 unless it is renewed again.',
    }),
  }),
});

const SignOutPayload = builder.objectRef<{ userId: string }>('SignOutPayload').implement({
  description: 'Whose sign-in was ended.',
  fields: (t) => ({
    userId: t.id({ description: 'The user.', resolve: ({ userId }) => encodeId('User', userId) }),
  }),
});

builder.mutationFields((t) => ({
  signUp: t.field({
    type: Session,
    nullable: true,
    description: 'Makes an account and signs in. CONFLICT where the e-mail or the handle is taken.',
    args: { input: t.arg({ type: SignUpInput, required: true, description: 'The account.' }) },
    resolve: (_root, { input }, ctx) => ctx.services.accounts.signUp(input, ctx.address),
  }),
  signIn: t.field({
    type: Session,
    nullable: true,
    description:
      'Signs in. UNAUTHENTICATED where e-mail and password do not fit; RATE_LIMITED after too many attempts.',
    args: { input: t.arg({ type: SignInInput, required: true, description: 'The credentials.' }) },
    resolve: (_root, { input }, ctx) => ctx.services.accounts.signIn(input, ctx.address),
  }),
  refreshSession: t.field({
    type: Session,
    nullable: true,
    description:
      'Rotates. The same token within 30 s of its first use answers the same successor (lost answers, two tabs); later it ends its whole family.',
    args: { input: t.arg({ type: RefreshSessionInput, required: true, description: 'The token.' }) },
    resolve: (_root, { input }, ctx) => ctx.services.accounts.refresh(input.refreshToken),
  }),
  renewConnection: t.field({
    type: RenewConnectionPayload,
    nullable: true,
    description:
      'Sent over a WebSocket, before its token runs out: the connection and its subscriptions go on. FORBIDDEN for the token of another user, BAD_REQUEST over HTTP.',
    args: { input: t.arg({ type: RenewConnectionInput, required: true, description: 'The token.' }) },
    resolve: async (_root, { input }, ctx) => {
      ctx.signedIn();
      if (ctx.socket === undefined) {
        throw new ParleyError('BAD_REQUEST', 'Send renewConnection over the WebSocket that it is meant for.');
      }
      return { expiresAt: await ctx.socket.renew(input.accessToken) };
    },
  }),
  signOut: t.field({
    type: SignOutPayload,
    nullable: true,
    description: "Ends the token's family and its sockets (4403).",
    args: { input: t.arg({ type: SignOutInput, required: true, description: 'The token.' }) },
    resolve: async (_root, { input }, ctx) => ({
      userId: await ctx.services.accounts.signOut(input.refreshToken),
    }),
  }),
}));
