import jwt from 'jsonwebtoken';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { App } from '../../src/app.js';
import { backends, startParley, type Place } from '../support/app.js';
import { Client, PASSWORD, signUp, word, type GraphQLAnswer, type Variables } from '../support/client.js';
import { closed, connect, turnedAway } from '../support/connected-socket.js';
import { withClient } from '../support/services/databases.js';

const SESSION = 'accessToken accessTokenExpiresAt refreshToken refreshTokenExpiresAt user { id handle name }';
const SIGN_UP = `mutation ($input: SignUpInput!) { signUp(input: $input) { ${SESSION} } }`;
const SIGN_IN = `mutation ($input: SignInInput!) { signIn(input: $input) { ${SESSION} } }`;
const REFRESH = `mutation ($token: String!) { refreshSession(input: { refreshToken: $token }) { ${SESSION} } }`;
const SIGN_OUT = `mutation ($token: String!) { signOut(input: { refreshToken: $token }) { userId } }`;
const VIEWER = '{ viewer { email user { handle } } }';

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

describe.each(backends)('Accounts on %s', (backend) => {
  let app: App & { readonly place: Place };
  let nobody: Client;

  beforeAll(async () => {
    app = await startParley(backend);
    nobody = new Client(app.url);
  });
  afterAll(() => app[Symbol.asyncDispose]());

  const account = (more: Variables = {}): Variables => {
    const handle = `user-${word()}`;
    return { email: `${handle}@example.com`, password: PASSWORD, handle, name: 'Someone', ...more };
  };

  const signIn = async (user: Client): Promise<Client> => {
    const { signIn: session } = await nobody.run(SIGN_IN, {
      input: { email: `${user.handle}@example.com`, password: PASSWORD },
    });
    return new Client(app.url, session.accessToken, session.user.id, session.refreshToken, user.handle);
  };

  const refresh = async (
    token: string,
  ): Promise<{ accessToken: string; refreshToken: string; refreshTokenExpiresAt: string }> =>
    (await nobody.run(REFRESH, { token }))['refreshSession'];

  test('begin with a session whose token has all that a token should', async () => {
    const input = account({ name: 'Ada Lovelace' });
    const before = Date.now();
    const { signUp: session } = await nobody.run(SIGN_UP, { input });
    expect(session.user).toEqual({
      id: expect.stringMatching(/^user_/),
      handle: input['handle'],
      name: 'Ada Lovelace',
    });

    const { header, payload } = jwt.decode(session.accessToken, { complete: true })!;
    expect(header).toEqual({ alg: 'HS256', typ: 'JWT' });
    const claims = payload as jwt.JwtPayload;
    expect(claims).toEqual({
      iss: 'parley',
      aud: 'parley',
      sub: expect.any(String),
      sid: expect.any(String),
      iat: expect.any(Number),
      exp: claims.iat! + 15 * 60,
    });
    expect(new Date(session.accessTokenExpiresAt).getTime()).toBe(claims.exp! * 1000);
    expect(Math.abs(claims.iat! * 1000 - before)).toBeLessThan(MINUTE);
    expect(Math.abs(new Date(session.refreshTokenExpiresAt).getTime() - before - 90 * DAY)).toBeLessThan(
      MINUTE,
    );

    const { viewer } = await new Client(app.url, session.accessToken).run(VIEWER);
    expect(viewer).toEqual({ email: input['email'], user: { handle: input['handle'] } });
  });

  test.each([
    ['email', { email: 'no address' }],
    ['email', { email: '' }],
    ['email', { email: 'a b@example.com' }],
    ['email', { email: 'ada@127.0.0.1' }],
    ['email', { email: '"ada"@example.com' }],
    ['email', { email: `${'a'.repeat(250)}@example.com` }],
    ['password', { password: '1234567' }],
    ['password', { password: 'x'.repeat(257) }],
    ['password', { password: '12345678' }],
    ['password', { password: 'password' }],
    ['password', { password: '        ' }],
    ['password', { password: 'ada@example.com', email: 'Ada@example.com' }],
    ['password', { password: 'i am Ada Byron', name: 'Ada Byron' }],
    ['handle', { handle: 'a' }],
    ['handle', { handle: 'Capital' }],
    ['handle', { handle: '-dash' }],
    ['handle', { handle: 'x'.repeat(33) }],
    ['handle', { handle: 'ümlaut' }],
    ['name', { name: '' }],
    ['name', { name: ' ' }],
    ['name', { name: '\u200B\u3164' }],
    ['name', { name: 'x'.repeat(101) }],
  ])('refuse a wrong %s: %j', async (field, more) => {
    const { errors } = await nobody.ask(SIGN_UP, { input: account(more) });
    expect(errors.map(({ extensions }) => extensions)).toEqual([
      { code: 'BAD_USER_INPUT', field: `input.${field}` },
    ]);
  });

  test('have an e-mail and a handle of their own, whatever the case of the e-mail', async () => {
    const first = account();
    await nobody.run(SIGN_UP, { input: first });
    const conflicts = async (more: Variables): Promise<unknown[]> =>
      (await nobody.ask(SIGN_UP, { input: account(more) })).errors.map(({ extensions }) => extensions);
    expect(await conflicts({ handle: first['handle'] })).toEqual([
      { code: 'CONFLICT', field: 'input.handle' },
    ]);
    const shouted = String(first['email']).toUpperCase();
    expect(await conflicts({ email: shouted })).toEqual([{ code: 'CONFLICT', field: 'input.email' }]);
    const { signIn: session } = await nobody.run(SIGN_IN, { input: { email: shouted, password: PASSWORD } });
    expect(session.user.handle).toBe(first['handle']);
  });

  test('have one address, however it is written, in sign-up, sign-in and what counts against it', async () => {
    const mark = word();
    const input = account({ email: ` ${mark}&co@MÜNCHEN.example `, name: 'Ju\u0308rgen 👨‍👩‍👧\u202E' });
    const { signUp: session } = await nobody.run(SIGN_UP, { input });
    expect(session.user.name).toBe('Jürgen 👨‍👩‍👧');
    const { viewer } = await new Client(app.url, session.accessToken).run(VIEWER);
    expect(viewer.email).toBe(`${mark}&co@münchen.example`);
    for (const email of [
      `${mark}&CO@xn--mnchen-3ya.example`,
      `${mark}&co@mu\u0308nchen.EXAMPLE\n`,
      `\u200B${mark.toUpperCase()}&co@XN--MNCHEN-3YA.EXAMPLE`,
    ]) {
      const { errors } = await nobody.ask(SIGN_UP, { input: account({ email }) });
      expect(errors[0]?.extensions).toEqual({ code: 'CONFLICT', field: 'input.email' });
      const { signIn: found } = await nobody.run(SIGN_IN, { input: { email, password: PASSWORD } });
      expect(found.user.id).toBe(session.user.id);
    }
    const own = account({ email: `jürgen-${mark}@münchen.example`, password: `my JÜRGEN-${mark}` });
    const { errors } = await nobody.ask(SIGN_UP, { input: own });
    expect(errors[0]?.extensions).toEqual({ code: 'BAD_USER_INPUT', field: 'input.password' });
    await nobody.run(SIGN_UP, { input: account({ email: `${mark}@localhost` }) });
  });

  test('are made once, however many ask for one at the same time', async () => {
    const input = account();
    const answers = await Promise.all(Array.from({ length: 5 }, () => nobody.ask(SIGN_UP, { input })));
    const codes = answers.map(({ errors }) => errors[0]?.extensions['code'] ?? 'made').sort();
    expect(codes).toEqual(['CONFLICT', 'CONFLICT', 'CONFLICT', 'CONFLICT', 'made']);
  });

  test('tell a wrong password from an unknown e-mail neither by the answer nor by its time', async () => {
    const user = await signUp(app.url);
    const attempt = async (email: string): Promise<{ ms: number; answer: GraphQLAnswer }> => {
      const start = performance.now();
      const answer = await nobody.ask(SIGN_IN, { input: { email, password: 'a wrong password' } });
      return { ms: performance.now() - start, answer };
    };
    const times: Record<'wrong' | 'unknown', number[]> = { wrong: [], unknown: [] };
    for (let i = 0; i < 7; i++) {
      const wrong = await attempt(`${user.handle}@example.com`);
      const unknown = await attempt(`${word()}@example.com`);
      expect(unknown.answer).toEqual(wrong.answer);
      expect(unknown.answer.errors.map(({ extensions }) => extensions)).toEqual([
        { code: 'UNAUTHENTICATED' },
      ]);
      times.wrong.push(wrong.ms);
      times.unknown.push(unknown.ms);
    }
    const median = (all: number[]): number => all.toSorted((a, b) => a - b)[3]!;
    // Without the work of a hash, an unknown e-mail is answered ten times as fast.
    expect(median(times.unknown)).toBeGreaterThan(median(times.wrong) / 2.5);
    expect(median(times.wrong)).toBeGreaterThan(median(times.unknown) / 2.5);
  });

  test('rotate their refresh tokens, each of which leads to one successor', async () => {
    const user = await signUp(app.url);
    const second = await refresh(user.refreshToken);
    expect(second.refreshToken).not.toBe(user.refreshToken);
    expect((await new Client(app.url, second.accessToken).run(VIEWER))['viewer'].user.handle).toBe(
      user.handle,
    );

    // Lost answers, two tabs: the same successor, also once that was spent itself.
    expect((await refresh(user.refreshToken)).refreshToken).toBe(second.refreshToken);
    const third = await refresh(second.refreshToken);
    expect((await refresh(user.refreshToken)).refreshToken).toBe(second.refreshToken);
    const fourth = await refresh(third.refreshToken);
    expect(
      new Set([user.refreshToken, second.refreshToken, third.refreshToken, fourth.refreshToken]).size,
    ).toBe(4);
    expect(fourth.refreshTokenExpiresAt).toBe(second.refreshTokenExpiresAt);
  });

  test('lead to one successor also when a token is spent many times at once', async () => {
    const user = await signUp(app.url);
    const sessions = await Promise.all(Array.from({ length: 8 }, () => refresh(user.refreshToken)));
    expect(new Set(sessions.map(({ refreshToken }) => refreshToken)).size).toBe(1);
    await refresh(sessions[0]!.refreshToken);
  });

  test('know no token that they did not give', async () => {
    const user = await signUp(app.url);
    for (const token of ['', 'x', user.token!, `${user.refreshToken}x`, user.refreshToken.toLowerCase()]) {
      expect(await nobody.refusal(REFRESH, { token })).toBe('UNAUTHENTICATED');
      expect(await nobody.refusal(SIGN_OUT, { token })).toBe('UNAUTHENTICATED');
    }
  });

  test('end one sign-in at a time: its tokens, and its sockets with 4403', async () => {
    const user = await signUp(app.url);
    const other = await signIn(user);
    const [ended, goesOn] = [await connect(user), await connect(other)];
    const newest = (await refresh(user.refreshToken)).refreshToken;

    // Any token of the family will do, and again.
    for (const token of [user.refreshToken, newest, newest]) {
      expect((await nobody.run(SIGN_OUT, { token }))['signOut']).toEqual({ userId: user.userId });
    }
    expect(await closed(ended)).toBe(4403);
    expect(await nobody.refusal(REFRESH, { token: newest })).toBe('UNAUTHENTICATED');
    expect(await nobody.refusal(REFRESH, { token: user.refreshToken })).toBe('UNAUTHENTICATED');

    // A socket that comes with what is left of it is turned away.
    expect(await turnedAway(user)).toBe(4403);

    await refresh(other.refreshToken);
    expect(goesOn.closes).toEqual([]);
    await goesOn.client.dispose();
  });

  describe.skipIf(backend === 'embedded')('and what is kept of them', () => {
    const sql = <Row extends object>(text: string, values: unknown[] = []): Promise<Row[]> =>
      withClient(
        app.place.env['DATABASE_URL']!,
        async (client) => (await client.query<Row>(text, values)).rows,
      );

    const sessionOf = (user: Client): string => (jwt.decode(user.token!) as { sid: string }).sid;

    /** Lets everything that was spent of the sign-in have been spent so much earlier. */
    const spentAgo = (user: Client, seconds: number): Promise<unknown> =>
      sql(
        `update refresh_tokens set used_at = used_at - $1 * interval '1 second' where session_id = $2 and used_at is not null`,
        [seconds, sessionOf(user)],
      );

    test('go on when a spent token comes again whose successor was never used, however long after', async () => {
      const user = await signUp(app.url);
      const successor = (await refresh(user.refreshToken)).refreshToken;
      for (const seconds of [31, 3600, 86_400 * 60]) {
        await spentAgo(user, seconds);
        expect((await refresh(user.refreshToken)).refreshToken).toBe(successor);
      }
      const third = (await refresh(successor)).refreshToken;
      await spentAgo(user, 31);
      expect((await refresh(successor)).refreshToken).toBe(third);

      // Not beyond the sign-in's own end.
      await sql(`update sessions set expires_at = now() where id = $1`, [sessionOf(user)]);
      expect(await nobody.refusal(REFRESH, { token: successor })).toBe('UNAUTHENTICATED');
    });

    test('go on for two who have copies of a token, in turn', async () => {
      const user = await signUp(app.url);
      let [one, other] = [user.refreshToken, user.refreshToken];
      for (let turn = 0; turn < 3; turn++) {
        one = (await refresh(one)).refreshToken;
        await spentAgo(user, 60);
        other = (await refresh(other)).refreshToken;
        expect(other).toBe(one);
      }
    });

    test('end as a family when a spent token comes again 30 seconds after, and its successor was used', async () => {
      const user = await signUp(app.url);
      const socket = await connect(user);
      const second = (await refresh(user.refreshToken)).refreshToken;
      const successor = (await refresh(second)).refreshToken;
      await spentAgo(user, 25);
      expect((await refresh(user.refreshToken)).refreshToken).toBe(second);
      expect(socket.closes).toEqual([]);

      await spentAgo(user, 6);
      expect(await nobody.refusal(REFRESH, { token: user.refreshToken })).toBe('UNAUTHENTICATED');
      expect(await nobody.refusal(REFRESH, { token: successor })).toBe('UNAUTHENTICATED');
      expect(await closed(socket)).toBe(4403);
    });

    test('go on for ninety days, however often they are refreshed', async () => {
      const user = await signUp(app.url);
      const { refreshToken } = await refresh(user.refreshToken);
      await sql(`update sessions set expires_at = now() where id = $1`, [sessionOf(user)]);
      expect(await nobody.refusal(REFRESH, { token: refreshToken })).toBe('UNAUTHENTICATED');
    });

    test('is argon2id of a password, the hash of a token, and neither itself', async () => {
      const user = await signUp(app.url);
      const { refreshToken } = await refresh(user.refreshToken);
      const [row] = await sql<{ password_hash: string }>(
        'select password_hash from users where handle = $1',
        [user.handle],
      );
      expect(row?.password_hash).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
      const everything = JSON.stringify([
        await sql('select * from users'),
        await sql('select * from sessions'),
        await sql('select * from refresh_tokens'),
      ]);
      for (const secret of [PASSWORD, user.refreshToken, refreshToken, user.token!])
        expect(everything).not.toContain(secret);
    });
  });
});
