import { generateKeyPair, SignJWT, type CryptoKey } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { App } from '../../src/app.js';
import { backends, makePlace, startOn, type Place } from '../support/app.js';
import { Client, signUp, word } from '../support/client.js';
import { closed, connect, turnedAway } from '../support/connected-socket.js';
import { TestProvider, type Claims } from '../support/identity-provider.js';

const VIEWER = '{ viewer { email user { id handle name } } }';

describe.each(backends)('Users of an identity provider on %s', (backend) => {
  let place: Place;
  let app: App;
  let provider: TestProvider;
  let strange: CryptoKey;

  beforeAll(async () => {
    provider = await TestProvider.start();
    await provider.addKey('key-1');
    ({ privateKey: strange } = await generateKeyPair('RS256'));
    place = await makePlace(backend);
    app = await startOn(place, provider.env);
  });
  afterAll(async () => {
    await app[Symbol.asyncDispose]();
    await place[Symbol.asyncDispose]();
    await provider[Symbol.asyncDispose]();
  });

  const token = (claims: Claims): Promise<string> => provider.token(claims);

  const viewer = async (
    claims: Claims,
    url = app.url,
  ): Promise<{ email: string; user: { id: string; handle: string; name: string } }> =>
    (await new Client(url, await token(claims)).run(VIEWER))['viewer'];

  const refusal = async (claims: Claims): Promise<string> =>
    new Client(app.url, await token(claims)).refusal(VIEWER);

  test('are made on first sight from what their token says, and known again', async () => {
    const [subject, mark] = [word(), word()];
    const claims = {
      sub: subject,
      preferred_username: `Ada.L-${mark}`,
      name: 'Ada Lovelace',
      email: `${mark}@Example.com`,
      email_verified: true,
    };
    const first = await viewer(claims);
    expect(first).toEqual({
      email: `${mark}@example.com`,
      user: { id: expect.stringMatching(/^user_/), handle: `adal-${mark}`, name: 'Ada Lovelace' },
    });
    // The subject is who they are, whatever else changes.
    expect(await viewer({ sub: subject, name: 'Someone else' })).toEqual(first);
    expect((await viewer({ sub: word(), preferred_username: mark })).user.id).not.toBe(first.user.id);
  });

  test('are known while the clocks differ by some seconds', async () => {
    const seconds = Math.floor(Date.now() / 1000);
    await viewer({ sub: word(), nbf: seconds + 3 });
    await viewer({ sub: word(), expiresIn: '-3s' });
  });

  test('have names without what no database stores', async () => {
    const { user } = await viewer({
      sub: word(),
      name: 'Ada\0 \ud83d Lovelace',
      preferred_username: 'a\0da',
    });
    expect(user.name).toBe('Ada \ufffd Lovelace');
    expect(user.handle).toMatch(/^ada/);
  });

  test('have the address only that their provider has verified', async () => {
    expect((await viewer({ sub: word(), email: `${word()}@example.com`, email_verified: false })).email).toBe(
      '',
    );
    expect((await viewer({ sub: word(), email: `${word()}@example.com` })).email).toBe('');
    // As some providers write it.
    const email = `${word()}@example.com`;
    expect((await viewer({ sub: word(), email, email_verified: 'true' })).email).toBe(email);
  });

  test('take no account over that has their address or their handle already', async () => {
    const local = await signUp(app.url);
    const theirs = await viewer({
      sub: word(),
      preferred_username: local.handle,
      email: `${local.handle}@example.com`,
      email_verified: true,
    });
    expect(theirs.user.id).not.toBe(local.userId);
    expect(theirs.user.handle).not.toBe(local.handle);
    expect(theirs.user.handle).toContain(local.handle.slice(0, 10));
    expect(theirs.email).toBe('');
    expect((await local.run(VIEWER))['viewer'].email).toBe(`${local.handle}@example.com`);
  });

  test.each(['', '  ', '!!!', 'x', '日本', '-_-', 'A'.repeat(60)])(
    'get a handle also from the name %j',
    async (name) => {
      const { user } = await viewer({ sub: word(), preferred_username: name });
      expect(user.handle).toMatch(/^[a-z0-9][a-z0-9_-]{1,31}$/);
      expect(user.name).not.toBe('');
    },
  );

  test('are one user each, however many of their requests come first at the same time', async () => {
    for (let round = 0; round < 3; round++) {
      const claims = {
        sub: word(),
        preferred_username: `many-${word()}`,
        email: `${word()}@example.com`,
        email_verified: true,
      };
      const found = await Promise.all(Array.from({ length: 10 }, () => viewer(claims)));
      expect(new Set(found.map(({ user }) => user.id)).size).toBe(1);
    }
  });

  test.skipIf(backend === 'embedded')('are one user each on all processes', async () => {
    await using second = await startOn(place, provider.env);
    const claims = { sub: word(), preferred_username: `two-${word()}` };
    const found = await Promise.all(
      Array.from({ length: 10 }, (_, i) => viewer(claims, i % 2 === 0 ? app.url : second.url)),
    );
    expect(new Set(found.map(({ user }) => user.id)).size).toBe(1);
  });

  test('are refused when their token is not what it should be', async () => {
    const good = { sub: word() };
    const bad: Claims[] = [
      { ...good, iss: 'https://identity.example.org' },
      { ...good, aud: 'another program' },
      { ...good, key: strange },
      { ...good, kid: 'key-2' },
      { ...good, expiresIn: '-1m' },
      { ...good, expiresIn: false },
      { ...good, exp: Date.now() + 60_000, expiresIn: false },
      { preferred_username: 'nobody' },
      { ...good, nbf: Math.floor(Date.now() / 1000) + 600 },
    ];
    for (const claims of bad) expect(await refusal(claims)).toBe('UNAUTHENTICATED');
    expect(await turnedAway(new Client(app.url, await token({ ...good, key: strange })))).toBe(4403);
    await viewer(good);
  });

  test('cannot be forged with what everybody knows: the public key as a secret', async () => {
    const { env, keys } = provider;
    const forged = await new SignJWT({ iss: env.JWT_ISSUER, aud: env.JWT_AUDIENCE, sub: word() })
      .setProtectedHeader({ alg: 'HS256', kid: 'key-1' })
      .setExpirationTime('5m')
      .sign(Buffer.from(keys[0]!.n!, 'base64url'));
    expect(await new Client(app.url, forged).refusal(VIEWER)).toBe('UNAUTHENTICATED');
  });

  test('live beside our own, do what they do, and are let go when their token runs out', async () => {
    const local = await signUp(app.url);
    const claims = { sub: word(), preferred_username: `guest-${word()}` };
    const guest = new Client(app.url, await token(claims));
    const roomId = await local.createRoom();
    await guest.join(roomId);
    const { id } = await guest.post(roomId, 'hello');
    const { node } = await local.run(
      'query ($id: ID!) { node(id: $id) { ... on Message { author { handle } } } }',
      { id },
    );
    expect(node.author.handle).toBe(claims.preferred_username);
    const socket = await connect(new Client(app.url, await token({ ...claims, expiresIn: '-3s' })));
    expect(await closed(socket, 8000)).toBe(4403);
  });
});
