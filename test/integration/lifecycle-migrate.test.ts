import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { migrations } from '../../migrations/index.js';
import { readConfig } from '../../src/config/env.js';
import { createMigrator } from '../../src/db/migrator.js';
import { openDatabase } from '../../src/db/open.js';
import { createLogger } from '../../src/observability/logger.js';
import { backends } from '../support/app.js';
import { signUp } from '../support/client.js';
import { Command } from '../support/command.js';
import { createDatabase, services, type TestDatabase } from '../support/services.js';
import { withClient } from '../support/services/databases.js';

const NAMES = Object.keys(migrations);

describe.each(backends)('Migrating by hand on %s', (backend) => {
  let home: string;
  let database: TestDatabase | undefined;
  let env: Record<string, string>;

  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), 'parley-test-'));
    env = { PORT: '0', DATA_DIR: join(home, 'data'), LOG_LEVEL: 'silent' };
    if (backend === 'postgres') {
      database = await createDatabase();
      env = { ...env, DATABASE_URL: database.url, JWT_SECRET: 'x'.repeat(32) };
    } else {
      await cp(services.embeddedTemplate, join(home, 'data', 'postgres'), { recursive: true });
    }
  });
  afterAll(async () => {
    await database?.[Symbol.asyncDispose]();
    await rm(home, { recursive: true, force: true });
  });

  async function migrate(...args: string[]): Promise<{ code: unknown; lines: string[]; stderr: string }> {
    await using command = new Command('migrate', args, { cwd: home, env });
    const code = await command.end(60_000);
    return { code, lines: command.stdout.split('\n').filter((line) => line !== ''), stderr: command.stderr };
  }

  const done = (lines: string[]): unknown => ({ code: 0, lines, stderr: '' });
  const status = (applied: number): string[] =>
    NAMES.map((name, i) => `${i < applied ? 'applied' : 'missing'}  ${name}`);

  test('goes up from nothing, down to nothing step by step, and up again', async () => {
    expect(await migrate('status')).toEqual(done(status(0)));
    expect(await migrate('up')).toEqual(done(NAMES.map((name) => `Up ${name}: Success`)));
    if (backend === 'embedded') {
      // A step is a second or two there, most of it for opening the database: so all but the first are taken at once.
      expect(await migrate('down')).toEqual(done([`Down ${NAMES.at(-1)!}: Success`]));
      const config = readConfig(env);
      const { db, close } = await openDatabase(config, createLogger('silent'));
      const migrator = createMigrator(db);
      for (const name of NAMES.slice(0, -1).reverse()) {
        const { results } = await migrator.migrateDown();
        expect(results).toEqual([{ migrationName: name, direction: 'Down', status: 'Success' }]);
      }
      await close();
    } else {
      expect(await migrate('up')).toEqual(done(['nothing to do']));
      for (let left = NAMES.length; left > 0; left--) {
        expect(await migrate('down')).toEqual(done([`Down ${NAMES[left - 1]!}: Success`]));
        if (left === 3) expect(await migrate('status')).toEqual(done(status(2)));
      }
      expect(await migrate('down')).toEqual(done(['nothing to do']));
    }
    if (database !== undefined) {
      const left = await withClient(database.url, async (client) => {
        const { rows } = await client.query<{ name: string }>(
          `select relname as name from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'v', 'S') and relname not like 'kysely%'
            union all select typname from pg_type where typnamespace = 'public'::regnamespace and typtype in ('d', 'e')
            union all select proname from pg_proc where pronamespace = 'public'::regnamespace
              -- Extensions stay, since others may use them.
              and not exists (select from pg_depend where objid = pg_proc.oid and deptype = 'e')`,
        );
        return rows;
      });
      expect(left).toEqual([]);
    }
    expect(await migrate('up')).toEqual(done(NAMES.map((name) => `Up ${name}: Success`)));
    expect(await migrate('status')).toEqual(done(status(NAMES.length)));

    await using server = new Command('main', [], { cwd: home, env });
    const user = await signUp(await server.ready());
    await user.post(await user.createRoom(), 'hello');
    if (backend === 'embedded') {
      // The folder is in use.
      const refused = await migrate('down');
      expect(refused).toMatchObject({
        code: 1,
        lines: [],
        stderr: expect.stringMatching(/^parley: [^\n]+\n$/),
      });
      await user.createRoom();
    }
  }, 120_000);

  test.each([[], ['sideways']])('takes up, down and status, and nothing else: %j', async (...args) => {
    expect(await migrate(...args)).toMatchObject({
      code: 2,
      lines: [],
      stderr: expect.stringMatching(/^usage: /),
    });
  });

  test.skipIf(backend === 'embedded')(
    'happens once when processes start together on an empty database',
    async () => {
      await using empty = await createDatabase();
      const starting = { cwd: home, env: { ...env, DATABASE_URL: empty.url } };
      await using first = new Command('main', [], starting);
      await using second = new Command('main', [], starting);
      await using third = new Command('main', [], starting);
      const urls = await Promise.all([first.ready(), second.ready(), third.ready()]);
      const users = await Promise.all(urls.map((url) => signUp(url)));
      expect(new Set(users.map(({ userId }) => userId)).size).toBe(3);
      const { rowCount } = await withClient(empty.url, (client) =>
        client.query('select from kysely_migration'),
      );
      expect(rowCount).toBe(NAMES.length);
    },
  );
});
