import { ESLint } from 'eslint';
import tseslint from 'typescript-eslint';
import { describe, expect, test } from 'vitest';

/** Our own rules need no types, so the snippets may be files that do not exist. */
const eslint = new ESLint({
  overrideConfig: [
    tseslint.configs.disableTypeChecked,
    { languageOptions: { parserOptions: { projectService: false } } },
  ],
  ruleFilter: ({ ruleId }) => ruleId.startsWith('house/') || ruleId === 'no-restricted-properties',
});

/** The rules that a file would break. */
async function brokenBy(filePath: string, code: string): Promise<string[]> {
  const [result] = await eslint.lintText(code, { filePath });
  return (result?.messages ?? []).map(({ ruleId, message }) => ruleId ?? message);
}

const IMPORTS = 'house/imports';

describe('The linter refuses', () => {
  test.each([
    [
      'a lower room that imports a higher one',
      'src/graphql/a.ts',
      "import { x } from '../http/server.js';",
      IMPORTS,
    ],
    [
      'events that import a slice',
      'src/events/room-feed.ts',
      "import { x } from '../rooms/rooms.queries.js';",
      IMPORTS,
    ],
    [
      'a type taken from above',
      'src/events/bus.ts',
      "import type { X } from '../rooms/rooms.service.js';",
      IMPORTS,
    ],
    [
      'a type taken from above in passing',
      'src/db/a.ts',
      "export type X = import('../live/groups.js').X;",
      IMPORTS,
    ],
    ['an export passed on from above', 'src/live/a.ts', "export * from '../ws/server.js';", IMPORTS],
    ['a dynamic import from above', 'src/db/a.ts', "export const x = import('../app.js');", IMPORTS],
    [
      'rooms beside each other that import',
      'src/http/a.ts',
      "import { x } from '../ws/close-codes.js';",
      IMPORTS,
    ],
    [
      'a slice that imports one above it',
      'src/rooms/a.ts',
      "import { x } from '../files/uploads.js';",
      IMPORTS,
    ],
    [
      'slices beside each other that import',
      'src/typing/a.ts',
      "import { x } from '../messages/a.js';",
      IMPORTS,
    ],
    [
      'a service that imports its schema',
      'src/rooms/rooms.service.ts',
      "import './rooms.schema.js';",
      IMPORTS,
    ],
    ['a service that imports graphql', 'src/rooms/rooms.service.ts', "import { x } from 'graphql';", IMPORTS],
    [
      'a service that imports graphql/',
      'src/files/uploads.ts',
      "import { x } from '../graphql/ids.js';",
      IMPORTS,
    ],
    ['queries that import a service', 'src/rooms/rooms.queries.ts', "import './rooms.service.js';", IMPORTS],
    ['queries that import a policy', 'src/rooms/rooms.queries.ts', "import './rooms.policy.js';", IMPORTS],
    [
      'a policy that imports a package',
      'src/rooms/rooms.policy.ts',
      "import type { X } from 'kysely';",
      IMPORTS,
    ],
    ['a policy that imports queries', 'src/rooms/rooms.policy.ts', "import './rooms.queries.js';", IMPORTS],
    [
      'a policy that imports the database',
      'src/rooms/rooms.policy.ts',
      "import '../db/database.js';",
      IMPORTS,
    ],
    [
      'a policy that waits',
      'src/rooms/rooms.policy.ts',
      'export const x = async () => true;',
      'house/policies',
    ],
    ['a migration that imports src', 'migrations/0009_x.ts', "import '../src/db/tables.js';", IMPORTS],
    ['the page that imports src', 'web/app.ts', "import type { X } from '../src/errors.js';", IMPORTS],
    ['src that imports tests', 'src/app.ts', "import '../test/support/services.js';", IMPORTS],
    ['a folder that has no place', 'src/helpers/a.ts', "import '../errors.js';", IMPORTS],
    [
      'a configuration that is not handed in',
      'src/http/a.ts',
      "import { x } from '../config/env.js';",
      IMPORTS,
    ],
    ['kysely in a service', 'src/rooms/rooms.service.ts', "import { sql } from 'kysely';", IMPORTS],
    [
      'a query in a service',
      'src/rooms/rooms.service.ts',
      "export const x = db.selectFrom('rooms');",
      'house/queries',
    ],
    [
      'a query in the feed',
      'src/events/room-feed.ts',
      "export const x = trx.updateTable('rooms');",
      'house/queries',
    ],
    [
      'the environment outside config',
      'src/app.ts',
      "export const x = process.env['PORT'];",
      'no-restricted-properties',
    ],
    [
      'the environment taken apart',
      'src/app.ts',
      'export const { env } = process;',
      'no-restricted-properties',
    ],
  ])('%s', async (_what, path, code, rule) => {
    expect(await brokenBy(path, code)).toEqual([rule]);
  });
});

describe('The linter lets pass', () => {
  test.each([
    ['a room that imports one far below', 'src/http/a.ts', "import { x } from '../db/database.js';"],
    [
      'a slice that imports one far below',
      'src/messages/a.ts',
      "import { x } from '../accounts/accounts.queries.js';",
    ],
    [
      'a schema that imports GraphQL and its service',
      'src/rooms/rooms.schema.ts',
      "import 'graphql'; import './rooms.service.js';",
    ],
    [
      'a service that imports policy and queries',
      'src/rooms/rooms.service.ts',
      "import './rooms.policy.js'; import './rooms.queries.js';",
    ],
    [
      'a policy that imports types and errors',
      'src/rooms/rooms.policy.ts',
      "import type { X } from '../db/tables.js'; import { y } from '../errors.js';",
    ],
    [
      'types of kysely in a service',
      'src/rooms/rooms.service.ts',
      "import type { Kysely } from 'kysely'; import { type Y } from 'kysely';",
    ],
    [
      'queries where they live',
      'src/events/event-log.ts',
      "import { sql } from 'kysely'; export const x = db.selectFrom(sql`rooms`);",
    ],
    ['the migrator that imports the migrations', 'src/db/migrator.ts', "import '../../migrations/index.js';"],
    ['the environment in config', 'src/config/env.ts', "export const x = process.env['PORT'];"],
    [
      'a test that imports what it tests from anywhere',
      'src/db/a.test.ts',
      "import '../app.js'; import '../../test/support/services.js';",
    ],
  ])('%s', async (_what, path, code) => {
    expect(await brokenBy(path, code)).toEqual([]);
  });
});

test('The linter refuses a promise that nobody waits for', { timeout: 60_000 }, async () => {
  // With types, so in the place of a file that exists.
  const [result] = await new ESLint({ ruleFilter: ({ ruleId }) => ruleId.includes('floating') }).lintText(
    'export function forget(): void {\n  Promise.reject(new Error());\n}\n',
    { filePath: 'src/errors.ts' },
  );
  expect(result?.messages.map(({ ruleId }) => ruleId)).toEqual(['@typescript-eslint/no-floating-promises']);
});
