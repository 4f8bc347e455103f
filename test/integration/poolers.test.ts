import { describe, expect, test } from 'vitest';
import { StartError } from '../../src/errors.js';
import { makePlace, startOn } from '../support/app.js';
import { signUp } from '../support/client.js';
import { isMissing, services } from '../support/services.js';
import { pgbouncer, startPgBouncer } from '../support/services/pgbouncer.js';

describe.skipIf(isMissing(services.postgres) || pgbouncer === undefined)('Through PgBouncer', () => {
  test.each([
    ['by transactions', ['pool_mode = transaction']],
    ['by transactions, with few connections', ['pool_mode = transaction', 'default_pool_size = 2']],
    ['by statements', ['pool_mode = statement']],
  ])(
    'a server does not start where it pools %s, and says what to do',
    async (_how, settings) => {
      await using place = await makePlace('postgres');
      await using pooler = await startPgBouncer(place.env['DATABASE_URL'] ?? '', settings);
      const started = startOn(place, { DATABASE_URL: pooler.url });
      await expect(started).rejects.toThrow(StartError);
      await expect(started).rejects.toThrow(/DATABASE_URL: .*pool_mode=session/);
    },
    60_000,
  );

  test('a server serves where it pools by sessions', async () => {
    await using place = await makePlace('postgres');
    const settings = ['pool_mode = session', 'default_pool_size = 50'];
    await using pooler = await startPgBouncer(place.env['DATABASE_URL'] ?? '', settings);
    await using app = await startOn(place, { DATABASE_URL: pooler.url });
    const ada = await signUp(app.url);
    const roomId = await ada.createRoom();
    const posts = Array.from({ length: 50 }, (_, i) => ada.post(roomId, String(i)));
    expect(new Set((await Promise.all(posts)).map(({ id }) => id)).size).toBe(50);
    expect((await fetch(`${app.url}/readyz`)).status).toBe(200);
  }, 60_000);
});
