import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWTPayload } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { App } from '../../src/app.js';
import { backends, makePlace, startOn, type Place } from '../support/app.js';
import { Client, signUp, word } from '../support/client.js';
import { closed, connect, turnedAway } from '../support/connected-socket.js';

const ISSUER = 'https://identity.example.com';
const AUDIENCE = 'parley-of-example';
const VIEWER = '{ viewer { email user { id handle name } } }';

describe.each(backends)('Users of an identity provider on %s', (backend) => {
  let place: Place;
  let app: App;
  let keys: Server;
  let privateKey: CryptoKey;
  let strange: CryptoKey;
  let env: Record<string, string>;

  beforeAll(async () => {
    const pair = await generateKeyPair('RS256');
    ({ privateKey } = pair);
    ({ privateKey: strange } = await generateKeyPair('RS256'));
    const jwk = { ...(await exportJWK(pair.publicKey)), kid: 'key-1', alg: 'RS256', use: 'sig' };
    keys = createServer((_req, res) =>
      res.setHeader('content-type', 'application/json').end(JSON.stringify({ keys: [jwk] })),
    );
    keys.listen(0, '127.0.0.1');
    await once(keys, 'listening');
    env = {
      JWT_JWKS_URL: `http://127.0.0.1:${(keys.address() as AddressInfo).port}/keys`,
      JWT_ISSUER: ISSUER,
      JWT_AUDIENCE: AUDIENCE,
    };
    place = await makePlace(backend);
    app = await startOn(place, env);
  });
  afterAll(async () => {
    await app[Symbol.asyncDispose]();
    await place[Symbol.asyncDispose]();
    keys.close();
  });

  interface Token extends JWTPayload {
    readonly kid?: string;
    readonly key?: CryptoKey;
    readonly expiresIn?: string | false;
  }

  const token = ({
    kid = 'key-1',
    key = privateKey,
    expiresIn = '5m',
    ...claims
  }: Token): Promise<string> => {
    const jwt = new SignJWT({ iss: ISSUER, aud: AUDIENCE, ...claims })
      .setProtectedHeader({ alg: 'RS256', kid })
      .setIssuedAt();
    return (expiresIn === false ? jwt : jwt.setExpirationTime(expiresIn)).sign(key);
  };

  const viewer = async (
    claims: Token,
    url = app.url,
  ): Promise<{ email: string; user: { id: string; handle: string; name: string } }> =>
    (await new Client(url, await token(claims)).run(VIEWER))['viewer'];

  const refusal = async (claims: Token): Promise<string> =>
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

  test('have the address only that their provider has verified', async () => {
    expect((await viewer({ sub: word(), email: `${word()}@example.com`, email_verified: false })).email).toBe(
      '',
    );
    expect((await viewer({ sub: word(), email: `${word()}@example.com` })).email).toBe('');
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
    await using second = await startOn(place, env);
    const claims = { sub: word(), preferred_username: `two-${word()}` };
    const found = await Promise.all(
      Array.from({ length: 10 }, (_, i) => viewer(claims, i % 2 === 0 ? app.url : second.url)),
    );
    expect(new Set(found.map(({ user }) => user.id)).size).toBe(1);
  });

  test('are refused when their token is not what it should be', async () => {
    const good = { sub: word() };
    const bad: Token[] = [
      { ...good, iss: 'https://identity.example.org' },
      { ...good, aud: 'another program' },
      { ...good, key: strange },
      { ...good, kid: 'key-2' },
      { ...good, expiresIn: '-1m' },
      { ...good, expiresIn: false },
      { preferred_username: 'nobody' },
      { ...good, nbf: Math.floor(Date.now() / 1000) + 600 },
    ];
    for (const claims of bad) expect(await refusal(claims)).toBe('UNAUTHENTICATED');
    expect(await turnedAway(new Client(app.url, await token({ ...good, key: strange })))).toBe(4403);
    await viewer(good);
  });

  test('cannot be forged with what everybody knows: the public key as a secret', async () => {
    const { keys: known } = (await (await fetch(env['JWT_JWKS_URL']!)).json()) as { keys: { n: string }[] };
    const forged = await new SignJWT({ iss: ISSUER, aud: AUDIENCE, sub: word() })
      .setProtectedHeader({ alg: 'HS256', kid: 'key-1' })
      .setExpirationTime('5m')
      .sign(Buffer.from(known[0]!.n, 'base64url'));
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
    const socket = await connect(new Client(app.url, await token({ ...claims, expiresIn: '2s' })));
    expect(await closed(socket, 8000)).toBe(4403);
  });
});
