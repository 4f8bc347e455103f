import type { ServerResponse } from 'node:http';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { App } from '../../src/app.js';
import { keyTimes } from '../../src/accounts/provider-keys.js';
import { makePlace, startOn, type Place } from '../support/app.js';
import { Client, word } from '../support/client.js';
import { connect, turnedAway } from '../support/connected-socket.js';
import { eventually } from '../support/deadline.js';
import { TestProvider, type Claims } from '../support/identity-provider.js';

const VIEWER = '{ viewer { user { id } } }';
/** More than are tried at once. */
const MANY = 10;

/** What a provider does instead of answering. */
const AWAY: readonly (readonly [string, (res: ServerResponse) => void])[] = [
  ['answers 500', (res) => res.writeHead(500).end()],
  ['answers a page', (res) => res.setHeader('content-type', 'text/html').end('<html>Please sign in</html>')],
  ['answers something else', (res) => res.end('{"keys":"none"}')],
  ['answers null', (res) => res.end('null')],
  ['sends its clients elsewhere', (res) => res.writeHead(302, { location: '/' }).end()],
  ['answers nothing', () => undefined],
  ['cuts the connection', (res) => res.destroy()],
];

let place: Place;
let app: App;
let provider: TestProvider;
const usual = { ...keyTimes };

beforeAll(async () => {
  place = await makePlace('embedded');
});
afterAll(() => place[Symbol.asyncDispose]());

async function start(): Promise<void> {
  provider = await TestProvider.start();
  await provider.addKey('key-1');
  app = await startOn(place, provider.env);
}
async function stop(): Promise<void> {
  await app[Symbol.asyncDispose]();
  await provider[Symbol.asyncDispose]();
}

const client = async (claims: Claims = {}): Promise<Client> =>
  new Client(app.url, await provider.token({ sub: word(), ...claims }));
/** Null for one that is let in, or the code of the refusal. */
const outcome = async (claims?: Claims): Promise<unknown> =>
  (await (await client(claims)).ask(VIEWER)).errors[0]?.extensions['code'] ?? null;
async function ready(): Promise<{ status: number; body: Record<string, string> }> {
  const response = await fetch(`${app.url}/readyz`);
  return { status: response.status, body: (await response.json()) as Record<string, string> };
}

describe('The keys of an identity provider, fetched anew for each token,', () => {
  beforeAll(async () => {
    Object.assign(keyTimes, { answerMs: 500, retryMs: 50, freshMs: 0, staleMs: 0 });
    await start();
  });
  afterEach(() => (provider.instead = undefined));
  afterAll(async () => {
    Object.assign(keyTimes, usual);
    await stop();
  });

  test.each(AWAY)('of one that %s make tokens not bad, but not to be checked now', async (_what, instead) => {
    provider.instead = instead;
    const user = await client();
    const { status, errors } = await user.ask(VIEWER);
    expect({ status, code: errors[0]?.extensions }).toMatchObject({
      status: 503,
      code: { code: 'UNAVAILABLE', retryAfter: 1 },
    });
    expect(errors[0]?.message).toContain('identity provider');
    expect(await turnedAway(user, { retryAttempts: 0 })).toBe(1013);
    // One who has no token, or one of ours, needs no provider.
    await eventually(5000, 'it is named', async () => (await ready()).body['identityProvider'] === 'down');
    expect(await ready()).toMatchObject({ status: 200, body: { status: 'degraded' } });
    provider.instead = undefined;
    await eventually(5000, 'it is asked again', async () => (await outcome()) === null);
    await eventually(5000, 'it is well', async () => (await ready()).body['identityProvider'] === 'ok');
    await (await connect(user)).client.dispose();
  });

  test('that cannot be used do not hide those that can', async () => {
    provider.keys = [{ kty: 'RSA', n: 'AQAB', e: 'AQAB', alg: 'RS256' }];
    await provider.addKey();
    expect(await outcome()).toBe(null);
    provider.keys = [{ kty: 'RSA', n: 'AQAB', e: 'AQAB', alg: 'RS256', kid: 'key-2' }];
    expect(await outcome({ kid: 'key-2' })).toBe('UNAVAILABLE');
  });

  test.each([
    ['EdDSA', 'EdDSA'],
    ['Ed25519', 'Ed25519'],
    ['EdDSA', 'Ed25519'],
    ['Ed25519', 'EdDSA'],
  ])('of the algorithm %s check tokens that name it %s', async (alg, name) => {
    await provider.addKey('ed', alg);
    expect(await outcome({ alg: name })).toBe(null);
  });
});

describe('The keys of an identity provider', () => {
  beforeEach(async () => {
    Object.assign(keyTimes, { retryMs: 50 });
    await start();
  });
  afterEach(async () => {
    Object.assign(keyTimes, usual);
    await stop();
  });

  test('that are known go on being good while it is away, but not for ever', async () => {
    expect(await outcome()).toBe(null);
    provider.instead = (res) => res.writeHead(500).end();
    keyTimes.freshMs = 0;
    expect(await outcome()).toBe(null);
    await eventually(5000, 'it is named', async () => (await ready()).body['identityProvider'] === 'down');
    keyTimes.staleMs = 0;
    expect(await outcome()).toBe('UNAVAILABLE');
  });

  test('that are withdrawn are good no longer once they are fetched anew', async () => {
    const old = await provider.token({ sub: word() });
    expect(await new Client(app.url, old).ask(VIEWER)).toMatchObject({ errors: [] });
    provider.keys = [];
    await provider.addKey('key-2');
    expect(await outcome()).toBe(null);
    expect(await new Client(app.url, old).refusal(VIEWER)).toBe('UNAUTHENTICATED');
  });

  test('that are new are fetched at once, and often, but not as often as strangers like', async () => {
    expect(await outcome()).toBe(null);
    for (const kid of ['key-2', 'key-3']) {
      await provider.addKey(kid);
      expect(await outcome()).toBe(null);
    }
    const before = provider.asked;
    const outcomes = new Set<unknown>();
    for (let i = 0; i < MANY; i++) outcomes.add(await outcome({ kid: word() }));
    // Beyond that it is not known whether their key is a new one.
    expect(outcomes).toEqual(new Set(['UNAUTHENTICATED', 'UNAVAILABLE']));
    expect(provider.asked - before).toBeLessThan(MANY);
    // Those whose key is known are not held up.
    expect(await outcome()).toBe(null);
  });

  test('that have no name are all tried, and a new one of them is fetched', async () => {
    provider.keys = [];
    const first = await provider.addKey();
    await provider.addKey();
    expect(await outcome({ key: first })).toBe(null);
    expect(await outcome()).toBe(null);
    await provider.addKey();
    expect(await outcome()).toBe(null);
  });
});
