import { z } from 'zod';
import { bareAddress } from '../addresses.js';
import type { UserRow } from '../db/tables.js';
import { ParleyError } from '../errors.js';
import { builder } from '../graphql/builder.js';
import { defineLoader, type Context } from '../graphql/context.js';
import { encodeId } from '../graphql/ids.js';
import { shownName, text } from '../graphql/text.js';
import { visibleNodes } from '../graphql/visible-nodes.js';
import type { PublicUser } from './accounts.queries.js';
import { emailKey, MAX_EMAIL, shownEmail, trimmedEmail } from './email.js';
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
  description: 'Someone with an account, as others see them. Users are never removed.',
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
      description: 'When the account was created.',
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
        "The e-mail address that the viewer signs in with, in lower case and an international domain in letters; empty if the viewer's identity provider gave none.",
      resolve: (account) => (account.email === null ? '' : shownEmail(account.email)),
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
      description: 'Can be exchanged once, by `refreshSession`. Keep it secret.',
    }),
    refreshTokenExpiresAt: t.expose('refreshTokenExpiresAt', {
      type: 'DateTime',
      description: 'When the sign-in ends for good, no matter how often it is refreshed.',
    }),
    user: t.field({
      type: User,
      description: 'Who is signed in.',
      resolve: (session, _args, ctx) => userOf(ctx, session.userId),
    }),
  }),
});

const anyEmail = text.refine((value) => trimmedEmail(value).length <= MAX_EMAIL, {
  message: `An e-mail address can have at most ${String(MAX_EMAIL)} characters.`,
  abort: true,
});
const email = anyEmail.refine(
  (value) => emailKey(value) !== undefined,
  'This is not a valid e-mail address: it must look like ada@example.com, without spaces, quotes or brackets.',
);
const password = z
  .string()
  .min(8, 'A password must have at least 8 characters.')
  .max(256, 'A password can have at most 256 characters.');
const handle = z
  .string()
  .regex(
    /^[a-z0-9][a-z0-9_-]{1,31}$/,
    'A handle must have 2 to 32 characters, only a-z, 0-9, _ and -, and begin with a letter or digit.',
  );

const SignUpInput = builder.inputType('SignUpInput', {
  description: 'A new account.',
  fields: (t) => ({
    email: t.string({
      required: true,
      validate: email,
      description:
        'The e-mail address to sign in with. Case makes no difference, nor do spaces around it, nor whether an international domain is in letters or in punycode. A host without a dot is accepted, such as `root@localhost`; quoted names and IP addresses are not.',
    }),
    password: t.string({
      required: true,
      validate: password,
      description: '8 to 256 characters, and none of the passwords that are guessed first.',
    }),
    handle: t.string({
      required: true,
      validate: handle,
      description: 'Unique: 2 to 32 of `a-z`, `0-9`, `_` and `-`.',
    }),
    name: t.string({
      required: true,
      validate: shownName,
      description:
        'The name that people read, 1 to 100 characters. It is kept in NFC and on one line, without characters that hide or reorder text.',
    }),
  }),
});

const SignInInput = builder.inputType('SignInInput', {
  description: 'The e-mail address and password of an account.',
  fields: (t) => ({
    email: t.string({
      required: true,
      validate: anyEmail,
      description: 'The e-mail address of the account, in any of the ways to write it.',
    }),
    password: t.string({
      required: true,
      validate: z.string().max(256, 'A password can have at most 256 characters.'),
      description: 'The password.',
    }),
  }),
});

const RefreshSessionInput = builder.inputType('RefreshSessionInput', {
  description: 'The refresh token to exchange.',
  fields: (t) => ({
    refreshToken: t.string({ required: true, description: 'The newest refresh token of the sign-in.' }),
  }),
});

const SignOutInput = builder.inputType('SignOutInput', {
  description: 'The sign-in to end.',
  fields: (t) => ({
    refreshToken: t.string({ required: true, description: 'Any refresh token of the sign-in.' }),
  }),
});

const RenewConnectionInput = builder.inputType('RenewConnectionInput', {
  description: 'A fresh access token for the connection that this is sent over.',
  fields: (t) => ({
    accessToken: t.string({
      required: true,
      description: 'An access token of the same user that the connection was opened with.',
    }),
  }),
});

const RenewConnectionPayload = builder.objectRef<{ expiresAt: Date }>('RenewConnectionPayload').implement({
  description: 'How long the connection stays open.',
  fields: (t) => ({
    expiresAt: t.expose('expiresAt', {
      type: 'DateTime',
      description: 'When the connection is closed with code 4403 unless it is renewed again.',
    }),
  }),
});

const SignOutPayload = builder.objectRef<{ userId: string }>('SignOutPayload').implement({
  description: 'The user whose sign-in was ended.',
  fields: (t) => ({
    userId: t.id({ description: 'Id of the user.', resolve: ({ userId }) => encodeId('User', userId) }),
  }),
});

/** Logs a sign-in that fails, with what a tool such as fail2ban needs; whose account it was is not its business. */
async function logFailure<T>(ctx: Context, signingIn: Promise<T>): Promise<T> {
  try {
    return await signingIn;
  } catch (error) {
    if (error instanceof ParleyError) {
      const address = bareAddress(ctx.address) ?? 'unknown';
      ctx.logger.warn({ requestId: ctx.requestId, address, code: error.code }, 'sign-in failed');
    }
    throw error;
  }
}

builder.mutationFields((t) => ({
  signUp: t.field({
    type: Session,
    nullable: true,
    description:
      'Creates an account and signs in. CONFLICT if the e-mail address or the handle is taken; BAD_USER_INPUT for a password that is common, repetitive, or contains the e-mail address, handle or name.',
    args: { input: t.arg({ type: SignUpInput, required: true, description: 'The account.' }) },
    resolve: (_root, { input }, ctx) => ctx.services.accounts.signUp(input, ctx.address),
  }),
  signIn: t.field({
    type: Session,
    nullable: true,
    description:
      'Signs in. UNAUTHENTICATED if the e-mail address or password is wrong; RATE_LIMITED after too many failed attempts.',
    args: { input: t.arg({ type: SignInInput, required: true, description: 'The credentials.' }) },
    resolve: (_root, { input }, ctx) => logFailure(ctx, ctx.services.accounts.signIn(input, ctx.address)),
  }),
  refreshSession: t.field({
    type: Session,
    nullable: true,
    description:
      'Exchanges a refresh token for a new pair. Sending the same token again returns the same new refresh token, for as long as that was never used (for lost answers), and within 30 seconds (for racing tabs); reusing an older one signs the user out.',
    args: { input: t.arg({ type: RefreshSessionInput, required: true, description: 'The token.' }) },
    resolve: (_root, { input }, ctx) => ctx.services.accounts.refresh(input.refreshToken, ctx.address),
  }),
  renewConnection: t.field({
    type: RenewConnectionPayload,
    nullable: true,
    description:
      'Gives a WebSocket connection a fresh access token before its current one expires, so that it and its subscriptions stay open. Send it over that connection. FORBIDDEN for a token of another user; BAD_REQUEST over HTTP.',
    args: { input: t.arg({ type: RenewConnectionInput, required: true, description: 'The token.' }) },
    resolve: async (_root, { input }, ctx) => {
      ctx.signedIn();
      if (ctx.socket === undefined) {
        throw new ParleyError(
          'BAD_REQUEST',
          'Send renewConnection over the WebSocket connection that it is to renew.',
        );
      }
      return { expiresAt: await ctx.socket.renew(input.accessToken) };
    },
  }),
  signOut: t.field({
    type: SignOutPayload,
    nullable: true,
    description:
      'Ends a sign-in: its refresh tokens stop working and its connections are closed (WebSockets with code 4403). An access token stays valid for HTTP until it expires.',
    args: { input: t.arg({ type: SignOutInput, required: true, description: 'The token.' }) },
    resolve: async (_root, { input }, ctx) => ({
      userId: await ctx.services.accounts.signOut(input.refreshToken),
    }),
  }),
}));
