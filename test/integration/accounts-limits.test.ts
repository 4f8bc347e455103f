import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SUCCEEDED_PER_ADDRESS } from '../../src/accounts/rate-limits.js';
import type { App } from '../../src/app.js';
import { backends, makePlace, startOn, startParley, type Place } from '../support/app.js';
import { PASSWORD, signUp, word, type Client, type GraphQLAnswer } from '../support/client.js';
import { untilReadiness } from '../support/readiness.js';
import { within } from '../support/deadline.js';
import { isMissing, services, startRedis, startRedisCluster } from '../support/services.js';

const PER_ACCOUNT = 4;
const PER_ADDRESS = 6;
const SIGN_UPS = 3;

/** Some address, in a network that no other test counts for. */
const someAddress = (): string => `2001:db8:${word().slice(0, 4)}:${word().slice(0, 4)}::1`;

async function send(
  url: string,
  query: string,
  input: object,
  address: string,
): Promise<GraphQLAnswer['errors']> {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-forwarded-for': address },
    body: JSON.stringify({ query, variables: { input } }),
  });
  return ((await response.json()) as { errors?: GraphQLAnswer['errors'] }).errors ?? [];
}

const signIn = (
  url: string,
  email: string,
  password: string,
  address = someAddress(),
): Promise<GraphQLAnswer['errors']> =>
  send(
    url,
    'mutation ($input: SignInInput!) { signIn(input: $input) { user { id } } }',
    { email, password },
    address,
  );

const codeOf = async (answer: Promise<GraphQLAnswer['errors']>): Promise<string> =>
  String((await answer)[0]?.extensions['code'] ?? 'data');

const LIMITS = {
  SIGN_IN_LIMIT_PER_ACCOUNT: String(PER_ACCOUNT),
  SIGN_IN_LIMIT_PER_ADDRESS: String(PER_ADDRESS),
  TRUST_PROXY: 'loopback',
};

const emailOf = ({ handle }: Client): string => `${handle}@example.com`;

describe.each(backends)('Guessing passwords on %s', (backend) => {
  let place: Place;
  let app: App;

  beforeAll(async () => {
    place = await makePlace(backend);
    app = await startOn(place, LIMITS);
  });
  afterAll(async () => {
    await app[Symbol.asyncDispose]();
    await place[Symbol.asyncDispose]();
  });

  test('of one account ends after some attempts, from wherever they come, also with the right one', async () => {
    const [user, other] = [await signUp(app.url), await signUp(app.url)];
    for (let i = 0; i < PER_ACCOUNT; i++)
      expect(await codeOf(signIn(app.url, emailOf(user), 'wrong'))).toBe('UNAUTHENTICATED');
    const [error] = await signIn(app.url, emailOf(user), PASSWORD);
    expect(error?.extensions).toEqual({ code: 'RATE_LIMITED', retryAfter: expect.any(Number) });
    expect(error?.extensions['retryAfter']).toBeGreaterThan(14 * 60);
    expect(error?.extensions['retryAfter']).toBeLessThanOrEqual(15 * 60);
    // The account is the same however its address is written.
    for (const email of [emailOf(user).toUpperCase(), ` ${emailOf(user)}\n`, `\u200B${emailOf(user)}`])
      expect([email, await codeOf(signIn(app.url, email, PASSWORD))]).toEqual([email, 'RATE_LIMITED']);
    expect(await codeOf(signIn(app.url, emailOf(other), PASSWORD))).toBe('data');
  });

  test('of an account that does not exist ends just as soon', async () => {
    const email = `${word()}@example.com`;
    for (let i = 0; i < PER_ACCOUNT; i++)
      expect(await codeOf(signIn(app.url, email, 'wrong'))).toBe('UNAUTHENTICATED');
    expect(await codeOf(signIn(app.url, email, 'wrong'))).toBe('RATE_LIMITED');
  });

  test('of strangers does not lock out where the account is used already', async () => {
    const user = await signUp(app.url);
    const [home, office] = [someAddress(), someAddress()];
    expect(await codeOf(signIn(app.url, emailOf(user), PASSWORD, home))).toBe('data');
    const answer = await send(
      app.url,
      'mutation ($input: RefreshSessionInput!) { refreshSession(input: $input) { user { id } } }',
      { refreshToken: user.refreshToken },
      office,
    );
    expect(answer).toEqual([]);
    for (let i = 0; i <= PER_ACCOUNT; i++) await codeOf(signIn(app.url, emailOf(user), 'wrong'));
    expect(await codeOf(signIn(app.url, emailOf(user), PASSWORD))).toBe('RATE_LIMITED');
    for (let round = 0; round < 2; round++) {
      for (const address of [home, office])
        expect(await codeOf(signIn(app.url, emailOf(user), PASSWORD, address))).toBe('data');
    }
    // The others are locked out still, and guessing from there ends as soon.
    expect(await codeOf(signIn(app.url, emailOf(user), PASSWORD))).toBe('RATE_LIMITED');
    for (let i = 0; i < PER_ACCOUNT; i++)
      expect(await codeOf(signIn(app.url, emailOf(user), 'wrong', home))).toBe('UNAUTHENTICATED');
    expect(await codeOf(signIn(app.url, emailOf(user), PASSWORD, home))).toBe('RATE_LIMITED');
    expect(await codeOf(signIn(app.url, emailOf(user), PASSWORD, office))).toBe('data');
  });

  test('with the right ones among them, many at once, uses up what the wrong ones do', async () => {
    const users = await Promise.all(Array.from({ length: 3 }, () => signUp(app.url)));
    const address = someAddress();
    const some = <T>(times: number, what: () => T): T[] => Array.from({ length: times }, what);
    // Some are refused for now, since so many are under way; they are not held against anyone.
    await Promise.all(
      users.flatMap((user) => some(20, () => signIn(app.url, emailOf(user), PASSWORD, address))),
    );
    for (let i = 1; i < PER_ADDRESS; i++)
      expect(await codeOf(signIn(app.url, `${word()}@example.com`, 'wrong', address))).toBe(
        'UNAUTHENTICATED',
      );
    expect(await codeOf(signIn(app.url, emailOf(users[0]!), PASSWORD, address))).toBe('data');
    expect(await codeOf(signIn(app.url, `${word()}@example.com`, 'wrong', address))).toBe('UNAUTHENTICATED');
    for (let i = 0; i < 3 * PER_ADDRESS; i++)
      expect(await codeOf(signIn(app.url, `${word()}@example.com`, 'wrong', address))).toBe('RATE_LIMITED');
  });

  test('starts anew once the right one was given', async () => {
    const user = await signUp(app.url);
    for (let round = 0; round < 2; round++) {
      for (let i = 1; i < PER_ACCOUNT; i++)
        expect(await codeOf(signIn(app.url, emailOf(user), 'wrong'))).toBe('UNAUTHENTICATED');
      expect(await codeOf(signIn(app.url, emailOf(user), PASSWORD))).toBe('data');
    }
  });

  test('from one address ends after some attempts at whatever accounts, and there alone', async () => {
    const user = await signUp(app.url);
    const address = someAddress();
    for (let i = 0; i < PER_ADDRESS; i++) {
      expect(await codeOf(signIn(app.url, `${word()}@example.com`, 'wrong', address))).toBe(
        'UNAUTHENTICATED',
      );
      // Who signs in with the right one uses nothing up.
      if (i === 0) expect(await codeOf(signIn(app.url, emailOf(user), PASSWORD, address))).toBe('data');
    }
    expect(await codeOf(signIn(app.url, emailOf(user), PASSWORD, address))).toBe('RATE_LIMITED');
    expect(await codeOf(signIn(app.url, emailOf(user), PASSWORD))).toBe('data');
  });

  test('many times at once gets no more tries than one after the other', async () => {
    const user = await signUp(app.url);
    const codes = await Promise.all(
      Array.from({ length: 3 * PER_ACCOUNT }, () => codeOf(signIn(app.url, emailOf(user), 'wrong'))),
    );
    expect(codes.filter((code) => code === 'UNAUTHENTICATED')).toHaveLength(PER_ACCOUNT);
    expect(codes.filter((code) => code === 'RATE_LIMITED')).toHaveLength(2 * PER_ACCOUNT);
  });

  test.skipIf(backend === 'embedded')('is counted by all processes together', async () => {
    await using second = await startOn(place, LIMITS);
    const user = await signUp(app.url);
    for (let i = 0; i < PER_ACCOUNT; i++) {
      expect(await codeOf(signIn(i % 2 === 0 ? app.url : second.url, emailOf(user), 'wrong'))).toBe(
        'UNAUTHENTICATED',
      );
    }
    for (const url of [app.url, second.url])
      expect(await codeOf(signIn(url, emailOf(user), PASSWORD))).toBe('RATE_LIMITED');
  });
});

describe('Signing in with the right password', () => {
  test('is not held against an address, however often it is done at once, and has a limit of its own', async () => {
    await using app = await startParley('embedded', { TRUST_PROXY: 'loopback' });
    const user = await signUp(app.url);
    const address = someAddress();
    const answers = await Promise.all(
      Array.from({ length: 400 }, () => signIn(app.url, emailOf(user), PASSWORD, address)),
    );
    const refused = answers.flatMap((errors) => errors);
    expect(400 - refused.length).toBeGreaterThan(0);
    expect(400 - refused.length).toBeLessThanOrEqual(SUCCEEDED_PER_ADDRESS);
    for (const { extensions } of refused) {
      expect(extensions['code']).toBe('RATE_LIMITED');
      expect(extensions['retryAfter']).toBeLessThanOrEqual(60);
    }
    // One after the other up to the limit, which is good for a minute.
    const left = SUCCEEDED_PER_ADDRESS - (400 - refused.length);
    for (let i = 0; i < left; i++)
      expect(await codeOf(signIn(app.url, emailOf(user), PASSWORD, address))).toBe('data');
    const [error] = await signIn(app.url, emailOf(user), PASSWORD, address);
    expect(error?.extensions).toEqual({ code: 'RATE_LIMITED', retryAfter: expect.any(Number) });
    expect(error?.extensions['retryAfter']).toBeLessThanOrEqual(60);
    expect(await codeOf(signIn(app.url, emailOf(user), PASSWORD))).toBe('data');
  }, 60_000);
});

describe('Limits by address', () => {
  const SIGN_UP = 'mutation ($input: SignUpInput!) { signUp(input: $input) { user { id } } }';
  const join = (url: string, address: string): Promise<string> => {
    const handle = `user-${word()}`;
    return codeOf(
      send(
        url,
        SIGN_UP,
        { email: `${handle}@example.com`, password: PASSWORD, handle, name: handle },
        address,
      ),
    );
  };

  let app: App & { readonly place: Place };

  beforeAll(async () => {
    app = await startParley('embedded', {
      SIGN_UP_LIMIT_PER_ADDRESS: String(SIGN_UPS),
      TRUST_PROXY: 'loopback',
    });
  });
  afterAll(() => app[Symbol.asyncDispose]());

  test.each([
    ['one address', () => '192.0.2.1'],
    ['an IPv6 network', (n: number) => `2001:db8:1:2::${String(n)}`],
    ['ports', (n: number) => `192.0.2.2:${String(5000 + n)}`],
    ['spellings', (n: number) => ['192.0.2.3', '::ffff:192.0.2.3', '[::FFFF:c000:0203]:80'][n % 3] ?? ''],
    ['what is no address', (n: number) => `client-${String(n)}`],
    ['what comes by a proxy that adds its port', (n: number) => `192.0.2.4, 127.0.0.2:${String(5000 + n)}`],
  ])('count %s together, and let so many sign up and no more', async (_what, addressOf) => {
    for (let i = 0; i < SIGN_UPS; i++) expect(await join(app.url, addressOf(i))).toBe('data');
    expect(await join(app.url, addressOf(SIGN_UPS))).toBe('RATE_LIMITED');
    expect(await join(app.url, someAddress())).toBe('data');
  });

  test('believe a header only from proxies that are trusted', async () => {
    await using other = await startParley('embedded', {
      SIGN_UP_LIMIT_PER_ADDRESS: String(SIGN_UPS),
      TRUST_PROXY: '10.0.0.0/8',
    });
    for (let i = 0; i < SIGN_UPS; i++) expect(await join(other.url, someAddress())).toBe('data');
    expect(await join(other.url, someAddress())).toBe('RATE_LIMITED');
  });
});

describe.skipIf(isMissing(services.postgres) || isMissing(services.redisServer))('Without its Redis', () => {
  test('a process limits by itself, and signs in who has the right password', async () => {
    await using redis = await startRedis();
    await using place = await makePlace('postgres');
    await using app = await startOn(place, { ...LIMITS, REDIS_URL: redis.url });
    const user = await signUp(app.url);
    expect(await codeOf(signIn(app.url, emailOf(user), PASSWORD))).toBe('data');
    await redis.kill();
    expect(await codeOf(signIn(app.url, emailOf(user), PASSWORD))).toBe('data');
    for (let i = 0; i < PER_ACCOUNT; i++)
      expect(await codeOf(signIn(app.url, emailOf(user), 'wrong'))).toBe('UNAUTHENTICATED');
    expect(await codeOf(signIn(app.url, emailOf(user), PASSWORD))).toBe('RATE_LIMITED');
  });

  test('that stands still a process does the same', async () => {
    await using redis = await startRedis();
    await using place = await makePlace('postgres');
    await using app = await startOn(place, { ...LIMITS, REDIS_URL: redis.url });
    const user = await signUp(app.url);
    redis.pause();
    try {
      expect(await within(15_000, 'a sign-in', codeOf(signIn(app.url, emailOf(user), PASSWORD)))).toBe(
        'data',
      );
    } finally {
      redis.resume();
    }
  });
});

describe.skipIf(isMissing(services.postgres) || isMissing(services.redisServer))('On a Redis Cluster', () => {
  test('processes share what they count, and each counts by itself what has no master', async () => {
    await using redis = await startRedisCluster();
    await using place = await makePlace('postgres');
    const env = { ...LIMITS, REDIS_URL: '', REDIS_CLUSTER_NODES: redis.nodes };
    await using first = await startOn(place, env);
    await using second = await startOn(place, env);
    await Promise.all([first, second].map(({ url }) => untilReadiness(url, 'ok')));
    const user = await signUp(first.url);
    for (let i = 0; i < PER_ACCOUNT; i++) {
      const { url } = i % 2 === 0 ? first : second;
      expect(await codeOf(signIn(url, emailOf(user), 'wrong'))).toBe('UNAUTHENTICATED');
    }
    for (const { url } of [first, second])
      expect(await codeOf(signIn(url, emailOf(user), PASSWORD))).toBe('RATE_LIMITED');
    const keys = await Promise.all(redis.members.map((member) => member.ask('KEYS', 'parley:*')));
    expect(new Set(keys.join('\n').match(/parley:[\w-]+:/g))).toEqual(
      new Set(['sign-in-account', 'sign-in-address', 'sign-up-address'].map((name) => `parley:${name}:`)),
    );

    for (const member of redis.members) await member.kill();
    const other = await signUp(second.url);
    expect(await codeOf(signIn(first.url, emailOf(other), PASSWORD))).toBe('data');
    for (let i = 0; i < PER_ACCOUNT; i++)
      expect(await codeOf(signIn(first.url, emailOf(other), 'wrong'))).toBe('UNAUTHENTICATED');
    expect(await codeOf(signIn(first.url, emailOf(other), PASSWORD))).toBe('RATE_LIMITED');
  });
});
