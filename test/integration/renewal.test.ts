import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { App } from '../../src/app.js';
import { backends, makePlace, startOn, type Place } from '../support/app.js';
import { signUp } from '../support/client.js';
import { eventually } from '../support/deadline.js';
import { live, ROOM_EVENTS, subscribe } from '../support/live.js';
import { shortLivedToken } from '../support/tokens.js';

const RENEW = 'mutation ($token: String!) { renewConnection(input: { accessToken: $token }) { expiresAt } }';

describe.each(backends)('a socket whose token runs out, on %s', (backend) => {
  let place: Place;
  let app: App;

  beforeAll(async () => {
    place = await makePlace(backend);
    app = await startOn(place);
  });
  afterAll(async () => {
    await app[Symbol.asyncDispose]();
    await place[Symbol.asyncDispose]();
  });

  async function connect(seconds: number) {
    const user = await signUp(app.url);
    const roomId = await user.createRoom();
    const token = await shortLivedToken(place, user, seconds);
    const closes: number[] = [];
    const client = live(user, {
      connectionParams: { authorization: `Bearer ${token}` },
      on: { closed: (event) => closes.push((event as CloseEvent).code) },
    });
    const feed = subscribe(client, ROOM_EVENTS, { roomId });
    await feed.take(1, 'roomEvents');
    return { user, roomId, client, feed, closes };
  }

  test('is closed with 4403 on time', async () => {
    const { closes } = await connect(1);
    await eventually(5000, 'the close', () => closes.length > 0);
    expect(closes).toEqual([4403]);
  });

  test('goes on with its subscriptions once it is renewed in place', async () => {
    const { user, roomId, client, feed, closes } = await connect(2);
    const renewal = subscribe(client, RENEW, { token: user.token });
    const [payload] = await renewal.take(1, 'renewConnection');
    const left = new Date(payload.expiresAt as string).getTime() - Date.now();
    expect(left).toBeGreaterThan(60_000);

    // The old token would have ended the socket by the time that this one, made later, has run out.
    const later = await connect(3);
    await eventually(8000, 'the end of a socket that is not renewed', () => later.closes.length > 0);
    await user.post(roomId, 'still here');
    const [, event] = await feed.take(2, 'roomEvents');
    expect(event).toMatchObject({ __typename: 'MessageAdded', message: { body: 'still here' } });
    expect(closes).toEqual([]);
    await client.dispose();
  });

  test('is not renewed by the token of another user, nor by one whose sign-in was ended', async () => {
    const { user, client } = await connect(60);
    const other = await signUp(app.url);
    const refused = subscribe(client, RENEW, { token: other.token });
    const [answer] = await eventually(5000, 'the refusal', () =>
      refused.results.length > 0 ? refused.results : undefined,
    );
    expect(answer.errors[0].extensions.code).toBe('FORBIDDEN');

    const { signIn } = await user.run(
      'mutation ($email: String!, $password: String!) { signIn(input: { email: $email, password: $password }) { accessToken refreshToken } }',
      { email: `${user.handle}@example.com`, password: 'correct horse battery staple' },
    );
    await user.run('mutation ($token: String!) { signOut(input: { refreshToken: $token }) { userId } }', {
      token: signIn.refreshToken,
    });
    const ended = subscribe(client, RENEW, { token: signIn.accessToken });
    const [second] = await eventually(5000, 'the refusal', () =>
      ended.results.length > 0 ? ended.results : undefined,
    );
    expect(second.errors[0].extensions.code).toBe('UNAUTHENTICATED');
    await client.dispose();
  });

  test('is renewed over the socket only', async () => {
    const user = await signUp(app.url);
    expect(await user.refusal(RENEW, { token: user.token })).toBe('BAD_REQUEST');
  });
});
