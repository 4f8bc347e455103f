import { createHmac, generateKeyPairSync } from 'node:crypto';
import {
  getNamedType,
  getNullableType,
  isEnumType,
  isInputObjectType,
  isListType,
  isRequiredArgument,
  isRequiredInputField,
  type GraphQLInputType,
} from 'graphql';
import jwt from 'jsonwebtoken';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import WebSocket from 'ws';
import type { App } from '../../src/app.js';
import { liveSessions } from '../../src/accounts/accounts.queries.js';
import { deriveKey } from '../../src/accounts/tokens.js';
import { readConfig } from '../../src/config/env.js';
import { newId } from '../../src/db/ids.js';
import { openDatabase } from '../../src/db/open.js';
import { createLogger } from '../../src/observability/logger.js';
import { environmentOf, makePlace, startParley, type Place } from '../support/app.js';
import { Client, PASSWORD, signUp } from '../support/client.js';
import { turnedAway } from '../support/connected-socket.js';
import { live, subscribe } from '../support/live.js';
import { fieldsOf, selectionOfRoot } from '../support/selection.js';
import { isMissing, services } from '../support/services.js';
import { statementsOf } from '../support/statements.js';
import { secretOf, shortLivedToken } from '../support/tokens.js';

const WITHOUT_TOKEN = ['signUp', 'signIn', 'refreshSession', 'signOut'];
const VIEWER = '{ viewer { user { handle } } }';

/** Some value of a type, as a literal. */
function someValue(type: GraphQLInputType): string {
  const inner = getNullableType(type);
  if (isListType(inner)) return '[]';
  const named = getNamedType(inner);
  if (isEnumType(named)) return named.getValues()[0]!.name;
  if (isInputObjectType(named)) {
    const fields = Object.values(named.getFields()).filter(isRequiredInputField);
    return `{ ${fields.map((field) => `${field.name}: ${someValue(field.type)}`).join(', ')} }`;
  }
  return { Int: '1', SafeInt: '1', Boolean: 'true' }[named.name] ?? '"something"';
}

/** A root field with what it cannot do without. A file can only be a variable. */
function someUse(kind: 'Query' | 'Mutation', name: string): string {
  const args = fieldsOf(kind)
    .find((field) => field.name === name)!
    .args.filter(isRequiredArgument);
  const given = args.map((arg) => `${arg.name}: ${someValue(arg.type)}`).join(', ');
  return `${name}${given === '' ? '' : `(${given})`} ${selectionOfRoot(kind, name, 0)}`;
}

describe('An access token', () => {
  let app: App & { readonly place: Place };
  let user: Client;
  let secret: string;
  let key: Buffer;
  let claims: { sub: string; sid: string; iss: string; aud: string; iat: number; exp: number };

  beforeAll(async () => {
    app = await startParley('embedded');
    user = await signUp(app.url);
    secret = await secretOf(app.place);
    key = deriveKey(secret, 'access token');
    claims = jwt.decode(user.token!) as typeof claims;
  });
  afterAll(() => app[Symbol.asyncDispose]());

  const with_ = (token: string): Client => new Client(app.url, token);
  const expired = (): Promise<string> => shortLivedToken(app.place, user, -10);

  test('that this test signs itself is good, so that the others are refused for what they are', async () => {
    const { viewer } = await with_(jwt.sign(claims, key)).run(VIEWER);
    expect(viewer.user.handle).toBe(user.handle);
  });

  const without = (name: string): object =>
    Object.fromEntries(Object.entries(claims).filter(([claim]) => claim !== name));
  const encoded = (part: object): string => Buffer.from(JSON.stringify(part)).toString('base64url');
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const forgeries: Record<string, () => string> = {
    'has run out': () =>
      jwt.sign({ ...claims, iat: claims.iat - 100, exp: Math.floor(Date.now() / 1000) - 1 }, key),
    'never runs out': () => jwt.sign(without('exp'), key),
    'is signed by nobody': () => `${encoded({ alg: 'none', typ: 'JWT' })}.${encoded(claims)}.`,
    'is signed by nobody, in other words': () =>
      `${encoded({ alg: 'NONE' })}.${encoded(claims)}.${user.token!.split('.')[2]!}`,
    'has no algorithm': () => `${encoded({ typ: 'JWT' })}.${encoded(claims)}.${user.token!.split('.')[2]!}`,
    'is signed with HS512': () => jwt.sign(claims, key, { algorithm: 'HS512' }),
    'is signed with HS384': () => jwt.sign(claims, key, { algorithm: 'HS384' }),
    'is signed with RS256': () => jwt.sign(claims, privateKey, { algorithm: 'RS256' }),
    'is signed with another secret': () => jwt.sign(claims, 'another secret that is long enough'),
    'is signed with the key of another purpose': () => jwt.sign(claims, deriveKey(secret, 'refresh token')),
    'comes from another issuer': () => jwt.sign({ ...claims, iss: 'someone' }, key),
    'is for another audience': () => jwt.sign({ ...claims, aud: 'others' }, key),
    'is for nobody': () => jwt.sign(without('sub'), key),
    'is for something that is no user': () => jwt.sign({ ...claims, sub: 'x' }, key),
    'belongs to no sign-in': () => jwt.sign(without('sid'), key),
    'is not yet good': () => jwt.sign({ ...claims, nbf: claims.iat + 3600 }, key),
    'is for another user under the same signature': () => {
      const [header, , signature] = user.token!.split('.');
      return `${header!}.${encoded({ ...claims, sub: claims.sid })}.${signature!}`;
    },
    'lacks its signature': () => user.token!.split('.').slice(0, 2).join('.'),
    'is cut short': () => user.token!.slice(0, -1),
    'is a refresh token': () => user.refreshToken,
    'is signed with the bare secret': () => {
      const body = `${encoded({ alg: 'HS256', typ: 'JWT' })}.${encoded(claims)}`;
      return `${body}.${createHmac('sha256', secret).update(body).digest('base64url')}`;
    },
    'is no token': () => 'x',
  };

  test.each(Object.keys(forgeries))('that %s is refused, and the whole request with it', async (which) => {
    const { status, data, errors } = await with_(forgeries[which]!()).ask(VIEWER);
    expect(errors.map(({ extensions }) => extensions)).toEqual([{ code: 'UNAUTHENTICATED' }]);
    expect(data).toBeFalsy();
    expect(status).toBe(401);

    expect(await turnedAway(with_(forgeries[which]!()))).toBe(4403);
  });

  test.each(['Basic dXNlcjpwYXNz', 'Bearer', 'Bearer ', 'Bearer a b', 'something'])(
    'that comes as `%s` is refused',
    async (authorization) => {
      const response = await fetch(`${app.url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization },
        body: JSON.stringify({ query: VIEWER }),
      });
      expect(response.status).toBe(401);
      expect(await response.json()).toMatchObject({ errors: [{ extensions: { code: 'UNAUTHENTICATED' } }] });
    },
  );

  const roots = (['Query', 'Mutation'] as const).flatMap((kind) =>
    fieldsOf(kind).map(({ name }) => ({ kind, name })),
  );

  test.each(
    roots.filter(
      ({ name }) => !WITHOUT_TOKEN.includes(name) && !['uploadFile', 'uploadFiles'].includes(name),
    ),
  )('that has run out is no way to $kind.$name, nor is it as good as none', async ({ kind, name }) => {
    const query = `${kind.toLowerCase()} { ${someUse(kind, name)} }`;
    const { data, errors } = await with_(await expired()).ask(query);
    expect(errors.map(({ extensions }) => extensions)).toEqual([{ code: 'UNAUTHENTICATED' }]);
    expect(data).toBeFalsy();
  });

  test.each(['uploadFile', 'uploadFiles'])('that has run out is no way to Mutation.%s', async (name) => {
    const many = name === 'uploadFiles';
    const form = new FormData();
    const [type, argument] = many ? ['[Upload!]!', 'files'] : ['Upload!', 'file'];
    form.set(
      'operations',
      JSON.stringify({
        query: `mutation ($file: ${type}) { ${name}(input: { roomId: "x", ${argument}: $file }) ${selectionOfRoot('Mutation', name, 0)} }`,
        variables: { file: many ? [null] : null },
      }),
    );
    form.set('map', JSON.stringify({ 0: [many ? 'variables.file.0' : 'variables.file'] }));
    form.set('0', new Blob(['text']), 'notes.txt');
    const response = await fetch(`${app.url}/graphql`, {
      method: 'POST',
      headers: { 'apollo-require-preflight': '1', authorization: `Bearer ${await expired()}` },
      body: form,
    });
    expect(await response.json()).toMatchObject({ errors: [{ extensions: { code: 'UNAUTHENTICATED' } }] });
  });

  test('that has run out lets one sign up, sign in, refresh and sign out', async () => {
    const late = with_(await expired());
    const again = await late.run(
      `mutation ($input: SignInInput!) { __typename signIn(input: $input) { refreshToken user { handle } } }`,
      { input: { email: `${user.handle}@example.com`, password: PASSWORD } },
    );
    expect(again['signIn'].user.handle).toBe(user.handle);
    const token = again['signIn'].refreshToken as string;
    await late.run(
      `mutation ($token: String!) { refreshSession(input: { refreshToken: $token }) { user { id } } }`,
      { token },
    );
    await late.run(`mutation ($token: String!) { signOut(input: { refreshToken: $token }) { userId } }`, {
      token,
    });
    const input = { email: 'late@example.com', password: PASSWORD, handle: 'late', name: 'Late' };
    await late.run(`mutation ($input: SignUpInput!) { signUp(input: $input) { user { handle } } }`, {
      input,
    });
  });

  test('that has run out takes a request down that asks for more than that', async () => {
    const late = with_(await expired());
    const input = { email: 'later@example.com', password: PASSWORD, handle: 'later', name: 'Later' };
    const document = `mutation ($input: SignUpInput!) { signUp(input: $input) { user { id } } createRoom(input: { slug: "by-late", name: "x", visibility: PUBLIC }) { eventCursor } }`;
    expect(await late.refusal(document, { input })).toBe('UNAUTHENTICATED');
    const hidden = `mutation ($input: SignUpInput!) { ...F } fragment F on Mutation { signUp(input: $input) { user { id } } createRoom(input: { slug: "by-late", name: "x", visibility: PUBLIC }) { eventCursor } }`;
    expect(await late.refusal(hidden, { input })).toBe('UNAUTHENTICATED');
    expect(
      await user.run(`{ userByHandle(handle: "later") { id } roomBySlug(slug: "by-late") { id } }`),
    ).toEqual({ userByHandle: null, roomBySlug: null });
  });

  test('travels over a WebSocket in connectionParams, in either spelling, or in the address', async () => {
    const socket = `${app.url.replace('http', 'ws')}/graphql`;
    for (const options of [
      { connectionParams: { authorization: `Bearer ${user.token!}` } },
      { connectionParams: { Authorization: `bearer ${user.token!}` } },
      { connectionParams: {}, url: `${socket}?token=${user.token!}` },
    ]) {
      const client = live(user, { webSocketImpl: WebSocket, ...options });
      const feed = subscribe(client, VIEWER);
      const [viewer] = await feed.take(1, 'viewer');
      expect(viewer.user.handle).toBe(user.handle);
      await client.dispose();
    }
    const address = `${socket}?token=${await expired()}`;
    expect(await turnedAway(user, { connectionParams: {}, url: address })).toBe(4403);
  });

  test('in the address of anything but a socket is no token', async () => {
    const response = await fetch(`${app.url}/graphql?token=${user.token!}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ query: VIEWER }),
    });
    expect(await response.json()).toEqual({ data: { viewer: null } });
  });

  test('is not needed on a socket, which then belongs to nobody', async () => {
    const client = live(new Client(app.url));
    const feed = subscribe(client, VIEWER);
    expect(await feed.take(1, 'viewer')).toEqual([null]);
    await client.dispose();
  });
});

describe.skipIf(isMissing(services.postgres))('The look whether sign-ins go on', () => {
  test('asks for any number of them, in statements of a bounded size', async () => {
    await using place = await makePlace('postgres');
    const { db, close } = await openDatabase(readConfig(environmentOf(place)), createLogger('silent'));
    const count = 70_000;
    const { rows: users } = await sql<{ id: string }>`
      insert into users (id, handle, name) values (gen_random_uuid(), 'many', 'Many') returning id`.execute(
      db,
    );
    const { rows } = await sql<{ id: string }>`
      insert into sessions (id, user_id, expires_at, ended_at)
      select gen_random_uuid(), ${users[0]!.id}, now() + interval '1 day', case when n <= 3 then now() end
      from generate_series(1, ${count}) n returning id`.execute(db);
    const ids = rows.map(({ id }) => id);
    let live = new Set<string>();
    const statements = await statementsOf(async () => {
      live = await liveSessions(db, [...ids, newId()]);
    });
    expect(live).toEqual(new Set(ids.slice(3)));
    const asked = statements.map(({ values }) => values.flat().length);
    expect(asked.reduce((sum, n) => sum + n, 0)).toBe(count + 1);
    expect(Math.max(...asked)).toBeLessThanOrEqual(5000);
    expect(await liveSessions(db, [])).toEqual(new Set());
    await close();
  });
});
