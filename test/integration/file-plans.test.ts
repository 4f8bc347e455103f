import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { migrations } from '../../migrations/index.js';
import type { Database } from '../../src/db/database.js';
import { connectPostgres } from '../../src/db/dialect.js';
import type { Slice } from '../../src/db/keyset.js';
import { createMigrator, migrateToLatest } from '../../src/db/migrator.js';
import { FileLists, type FileFilter } from '../../src/files/file-lists.js';
import { createLogger } from '../../src/observability/logger.js';
import { nodesOf, touched, type Plan } from '../support/plans.js';
import { createDatabase, isMissing, services, type TestDatabase } from '../support/services.js';
import { withClient } from '../support/services/databases.js';
import { statementsOf, type Statement } from '../support/statements.js';

const FILES = 1_000_000;
const SMALL_ROOMS = 10_000;
const FILES_OF_SMALL = 5;
const MANY_ROOMS = 2000;
const PAGE = 20;
/** A page with a row before it, and one behind. */
const READ = PAGE + 2;
/** Blocks that one way down through an index and to a row takes, and some to spare. */
const DEPTH = 6;

const ORDERS = (['CREATED_AT', 'NAME', 'SIZE'] as const).flatMap((field) =>
  (['ASC', 'DESC'] as const).map((direction) => ({ field, direction })),
);
type Order = (typeof ORDERS)[number];
const INDEX = { CREATED_AT: 'created', NAME: 'name', SIZE: 'size' };

const uuid = (n: number): string =>
  n
    .toString(16)
    .padStart(32, '0')
    .replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
const LARGE = uuid(1);
const [OWNER, RARE, ONE, MANY] = [uuid(1), uuid(2), uuid(3), uuid(4)];
const BEGIN = Date.parse('2026-01-01T00:00:00Z');
/** When the nth file of the large room was uploaded. */
const momentOf = (n: number): Date => new Date(BEGIN + n * 1000);
const nameOf = (n: number): string => `file ${String(FILES - n).padStart(7, '0')}.txt`;

/** The place of the nth file of the large room. */
const keyOf = ({ field }: Order, n: number, ...room: string[]): (string | number)[] => [
  { CREATED_AT: momentOf(n).toISOString(), NAME: nameOf(n), SIZE: n }[field],
  ...room,
  n,
];

/**
 * All that is of a kind lies together, at one end of each order, so that whatever walks along an order to find it walks far: the pictures
 * are the oldest, smallest, and last by name; those of RARE the newest, largest, and first.
 */
async function fill(client: pg.Client): Promise<void> {
  await client.query(`
    insert into users (id, handle, name)
      select lpad(to_hex(n), 32, '0')::uuid, 'user-' || n, 'name' from generate_series(1, 4) n;
    insert into rooms (id, slug, name, visibility, tag, last_tag, file_count)
      select lpad(to_hex(n), 32, '0')::uuid, 'room-' || n, 'name', 'PUBLIC', 't', 't', case n when 1 then ${FILES} else ${FILES_OF_SMALL} end
      from generate_series(1, 1 + ${SMALL_ROOMS}) n;
    insert into memberships (room_id, user_id, role, joined_at, joined_seq)
      select lpad(to_hex(n), 32, '0')::uuid, '${ONE}'::uuid, 'MEMBER', now(), 3 from generate_series(1, 3) n;
    insert into memberships (room_id, user_id, role, joined_at, joined_seq)
      select lpad(to_hex(1 + n * 2), 32, '0')::uuid, '${MANY}'::uuid, 'MEMBER', now(), 4 from generate_series(1, ${MANY_ROOMS}) n;
    -- To keep these takes longer than to write the rows, whose bytes are nowhere; and the step to come drops the indexes anyway.
    alter table files drop constraint files_room_id_fkey, drop constraint files_uploader_id_fkey, drop constraint files_have_bytes;
    drop index files_by_time, files_by_name, files_by_size;
    create index files_by_time on files (id) where false;
    create index files_by_name on files (id) where false;
    create index files_by_size on files (id) where false`);
  const columns = '(id, room_id, seq, uploader_id, name, name_key, mime_type, size, sha256, created_at)';
  await client.query(`
    insert into files ${columns}
    select lpad(to_hex(n), 32, '0')::uuid, '${LARGE}', n, case when n > 990000 then '${RARE}' else '${OWNER}' end::uuid, name, name,
      case when n <= 50000 then 'image/png' when n <= 100000 then 'image/gif' when n % 10000 = 0 then 'application/pdf' else 'text/plain' end,
      n, '', to_timestamp(${BEGIN / 1000} + n)
    from (
      select n, 'file ' || lpad((${FILES} - n)::text, 7, '0') || case when n % 40000 = 7 then ' zebra' else '' end || '.txt' as name
      from generate_series(1, ${FILES}) n
    ) f`);
  await client.query(`
    insert into files ${columns}
    select lpad(to_hex(${FILES} + r * 10 + n), 32, '0')::uuid, lpad(to_hex(r), 32, '0')::uuid, n, '${OWNER}', name, name,
      case n when 1 then 'image/png' when 2 then 'image/gif' else 'text/plain' end,
      r * 10 + n, '', to_timestamp(${BEGIN / 1000} + r * 10 + n)
    from (
      select r, n, 'note ' || r * 10 + n || '.txt' as name
      from generate_series(2, 1 + ${SMALL_ROOMS}) r, generate_series(1, ${FILES_OF_SMALL}) n
    ) f`);
}

/** Of an index or of the table. */
const isOfFiles = (scan: Plan): boolean =>
  scan['Relation Name'] === 'files' || scan['Index Name']?.startsWith('files_') === true;

/** What a page of files costs may not grow with the room, or with how deep the page lies in it. */
describe.skipIf(isMissing(services.postgres))('Plans of lists with a million files in one room', () => {
  let database: TestDatabase;
  let db: Database;
  let lists: FileLists;

  beforeAll(async () => {
    database = await createDatabase();
    await withClient(database.url, (client) =>
      client.query(`alter database ${database.name} set maintenance_work_mem = '256MB'`),
    );
    db = connectPostgres({ databasePoolSize: 2 }, database.url, createLogger('silent'));
    // The files are older than their indexes: to build these on what is there takes a fraction of the time, and is what an upgrade does.
    const names = Object.keys(migrations);
    const { error } = await createMigrator(db).migrateTo(names[names.indexOf('0009_file_lists') - 1]!);
    expect(error).toBeUndefined();
    await withClient(database.url, fill);
    await migrateToLatest(db);
    await withClient(database.url, (client) => client.query('analyze'));
    lists = new FileLists(db);
  }, 240_000);
  afterAll(async () => {
    await db.destroy();
    await database[Symbol.asyncDispose]();
  });

  async function plansOf(statements: readonly Statement[]): Promise<Plan[]> {
    return withClient(database.url, async (client) => {
      const plans: Plan[] = [];
      for (const { text, values } of statements) {
        const { rows } = await client.query<{ 'QUERY PLAN': { Plan: Plan }[] }>(
          `explain (analyze, buffers, format json) ${text}`,
          [...values],
        );
        plans.push(rows[0]!['QUERY PLAN'][0]!.Plan);
      }
      return plans;
    });
  }

  interface Cost {
    /** Rows of files that may be looked at. */
    readonly rows: number;
    /** Blocks that may be. */
    readonly blocks: number;
    /** The indexes of files that may be used; any if left out. */
    readonly index?: RegExp;
  }

  /** Reads pages at both ends of the list, and from its middle on either way. */
  async function checkPages(
    read: (slice: Slice) => Promise<unknown>,
    middle: readonly (string | number)[],
    { rows, blocks, index }: Cost,
  ): Promise<void> {
    const statements = await statementsOf(async () => {
      await read({ count: PAGE, fromEnd: false });
      await read({ count: PAGE, fromEnd: true });
      await read({ count: PAGE, fromEnd: false, after: middle });
      await read({ count: PAGE, fromEnd: true, before: middle });
    });
    const pages = statements.filter(({ text }) => text.includes('order by') && !text.includes('file_count'));
    expect(pages).toHaveLength(4);
    for (const plan of await plansOf(pages)) {
      const told = JSON.stringify(plan, undefined, 1);
      const scans = nodesOf(plan).filter(isOfFiles);
      expect(scans.length, told).toBeGreaterThan(0);
      expect(
        scans.map((node) => node['Node Type']),
        told,
      ).not.toContain('Seq Scan');
      const used = nodesOf(plan).flatMap((node) => node['Index Name'] ?? []);
      if (index !== undefined) {
        expect(
          used.filter((name) => name.startsWith('files_') && !index.test(name)),
          told,
        ).toEqual([]);
      }
      expect(touched(plan, isOfFiles), told).toBeLessThanOrEqual(rows);
      expect(plan['Shared Hit Blocks'] + plan['Shared Read Blocks'], told).toBeLessThanOrEqual(blocks);
    }
  }

  interface Case {
    readonly filter: FileFilter;
    /** The indexes for it. */
    readonly of: string;
    /** How many types there are of the kind that it wants. */
    readonly types?: number;
    /** The number of a file in the middle of the list. */
    readonly middle?: number;
  }

  const INDEXED: Record<string, Case> = {
    'no filter': { filter: {}, of: 'of_room_by' },
    'a type of most': { filter: { mimeType: 'text/plain' }, of: 'of_type_by' },
    'a type of few': { filter: { mimeType: 'application/pdf' }, of: 'of_type_by' },
    'a type of none': { filter: { mimeType: 'video/mp4' }, of: 'of_type_by' },
    'a kind at one end': { filter: { mimeType: 'image/*' }, of: 'of_type_by', types: 2, middle: 50_000 },
    'the uploader of most': { filter: { uploaderId: OWNER }, of: 'of_uploader_by' },
    'the uploader of few': { filter: { uploaderId: RARE }, of: 'of_uploader_by', middle: 995_000 },
  };
  const most = { createdAfter: momentOf(10_000), createdBefore: momentOf(990_000) };
  const hour = { createdAfter: momentOf(500_000), createdBefore: momentOf(503_600) };
  const OF_TIME: Record<string, Case> = {
    'an hour': { filter: hour, of: 'of_room_by', middle: 501_800 },
    'most of the time': { filter: most, of: 'of_room_by' },
    'type and hour': { filter: { mimeType: 'text/plain', ...hour }, of: 'of_type_by', middle: 501_800 },
    'type and time': { filter: { mimeType: 'text/plain', ...most }, of: 'of_type_by' },
    'kind and time': { filter: { mimeType: 'image/*', ...most }, of: 'of_type_by', types: 2, middle: 50_000 },
    'kind and hour': {
      filter: { mimeType: 'image/*', ...hour },
      of: 'of_type_by',
      types: 2,
      middle: 501_800,
    },
    'uploader and time': { filter: { uploaderId: OWNER, ...most }, of: 'of_uploader_by' },
    'uploader and hour': { filter: { uploaderId: RARE, ...hour }, of: 'of_uploader_by', middle: 501_800 },
  };
  const CASES = ORDERS.flatMap((order) =>
    Object.entries({ ...INDEXED, ...(order.field === 'CREATED_AT' && OF_TIME) }).map(([name, one]) => ({
      name: `${order.field} ${order.direction}, ${name}`,
      order,
      types: 1,
      middle: 500_000,
      ...one,
    })),
  );

  test.each(CASES)('of a room by $name', async ({ order, filter, of, types, middle }) => {
    await checkPages((slice) => lists.page(LARGE, filter, order, slice), keyOf(order, middle), {
      // Where there are several types: each of them, the one that is not there, the first file of each, and a page of it.
      rows: types === 1 ? READ : types * (2 + READ) + 1,
      blocks: types * (READ + 5 * DEPTH),
      index: new RegExp(`^files_${of}_${types > 1 ? '' : INDEX[order.field]}`),
    });
  });

  test.each(CASES)('of three rooms among ten thousand by $name', async ({ order, filter, types, middle }) => {
    const runs = 3 * types;
    const viewer = { userId: ONE, roomIds: undefined };
    await checkPages(
      (slice) => lists.viewerPage(viewer, filter, order, slice),
      keyOf(order, middle, LARGE),
      // Memberships, types one after the other, the first of each run, and a page of each.
      { rows: 3 + 2 * runs + runs * READ, blocks: runs * (READ + 5 * DEPTH) },
    );
  });

  test.each(CASES)('of two thousand rooms by $name', async ({ order, filter, types }) => {
    const runs = MANY_ROOMS * types;
    const viewer = { userId: MANY, roomIds: undefined };
    await checkPages(
      (slice) => lists.viewerPage(viewer, filter, order, slice),
      keyOf(order, 10_000, uuid(MANY_ROOMS)),
      {
        rows: MANY_ROOMS + 2 * runs + READ * READ,
        blocks: (types > 1 ? 3 : 1) * runs * DEPTH + READ * (READ + DEPTH),
      },
    );
  });

  test.each(ORDERS)(
    'by $field $direction: a part of a name is looked up, or comes up soon',
    async (order) => {
      for (const [nameContains, rows] of [
        ['zebra', 200],
        ['0123456', 200],
        ['nowhere', 10],
        ['file', 200],
        ['00', 3000],
      ] as const) {
        await checkPages(
          (slice) => lists.page(LARGE, { nameContains }, order, slice),
          keyOf(order, 500_000),
          {
            rows,
            blocks: rows + 500,
          },
        );
        await checkPages(
          (slice) => lists.viewerPage({ userId: ONE, roomIds: undefined }, { nameContains }, order, slice),
          keyOf(order, 500_000, LARGE),
          { rows: rows + 50, blocks: rows + 600 },
        );
      }
    },
  );
});
