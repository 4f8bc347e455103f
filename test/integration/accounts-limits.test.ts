import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { App } from '../../src/app.js';
import { backends, makePlace, startOn, startParley, type Place } from '../support/app.js';
import { PASSWORD, signUp, word, type Client, type GraphQLAnswer } from '../support/client.js';
import { eventually, within } from '../support/deadline.js';
import { isMissing, services, startRedis, startRedisCluster } from '../support/services.js';

const PER_ACCOUNT = 4;
const PER_ADDRESS = 6;
const SIGN_UPS = 3;

/** Some address that no other test counts for. */
const someAddress = (): string =>
  `2001:db8::${word().slice(0, 4)}:${word().slice(0, 4)}:${word().slice(0, 4)}`;

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
    // The account is the same in any case.
    expect(await codeOf(signIn(app.url, emailOf(user).toUpperCase(), PASSWORD))).toBe('RATE_LIMITED');
    expect(await codeOf(signIn(app.url, emailOf(other), PASSWORD))).toBe('data');
  });

  test('of an account that does not exist ends just as soon', async () => {
    const email = `${word()}@example.com`;
    for (let i = 0; i < PER_ACCOUNT; i++)
      expect(await codeOf(signIn(app.url, email, 'wrong'))).toBe('UNAUTHENTICATED');
    expect(await codeOf(signIn(app.url, email, 'wrong'))).toBe('RATE_LIMITED');
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

  test('let so many sign up and no more', async () => {
    await using app = await startParley('embedded', {
      SIGN_UP_LIMIT_PER_ADDRESS: String(SIGN_UPS),
      TRUST_PROXY: 'loopback',
    });
    const address = someAddress();
    for (let i = 0; i < SIGN_UPS; i++) expect(await join(app.url, address)).toBe('data');
    expect(await join(app.url, address)).toBe('RATE_LIMITED');
    expect(await join(app.url, someAddress())).toBe('data');
  });

  test('believe a header only from proxies that are trusted', async () => {
    await using app = await startParley('embedded', {
      SIGN_UP_LIMIT_PER_ADDRESS: String(SIGN_UPS),
      TRUST_PROXY: '10.0.0.0/8',
    });
    for (let i = 0; i < SIGN_UPS; i++) expect(await join(app.url, someAddress())).toBe('data');
    expect(await join(app.url, someAddress())).toBe('RATE_LIMITED');
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
    await eventually(10_000, 'both are ready', async () => {
      const answers = await Promise.all([first, second].map(({ url }) => fetch(`${url}/readyz`)));
      return answers.every(({ status }) => status === 200);
    });
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
