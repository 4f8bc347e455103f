import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { App } from '../../src/app.js';
import { startParley, type Place } from '../support/app.js';
import { signUp, type Client } from '../support/client.js';
import { nodesOf, touched, type Plan } from '../support/plans.js';
import { isMissing, services } from '../support/services.js';
import { withClient } from '../support/services/databases.js';
import { statementsOf, type Statement } from '../support/statements.js';

const ROWS = 4000;
const ORDERS = (['CREATED_AT', 'NAME', 'SIZE'] as const).flatMap((field) =>
  (['ASC', 'DESC'] as const).map((direction) => ({ field, direction })),
);

/** A page that is read in the list's order, and beside it what is looked up for each of its rows. */
function listAndAuthors(plan: Plan): [Plan, Plan] {
  const [join] = plan.Plans ?? [];
  const [list, authors] = join?.Plans ?? [];
  if (join?.['Node Type'] !== 'Nested Loop' || list === undefined || authors === undefined)
    throw new Error(`no page with a look-up beside it: ${JSON.stringify(plan, undefined, 1)}`);
  return [{ ...plan, Plans: [list] }, authors];
}

/** What a page costs may not grow with the list, or with how deep in it the page lies: so it is read off an index. */
describe.skipIf(isMissing(services.postgres) || isMissing(services.redis))(
  'The plan of a page of thousands of rows',
  () => {
    let app: App & { readonly place: Place };
    let owner: Client;
    let roomId: string;
    let database: string;

    beforeAll(async () => {
      app = await startParley('postgres');
      database = app.place.env['DATABASE_URL']!;
      owner = await signUp(app.url);
      roomId = await owner.createRoom('PUBLIC', 'the-room');
      // Other rooms hold as much, so that an index without the room in it would not do.
      const others = [
        await owner.createRoom('PUBLIC', 'another-room'),
        await owner.createRoom('PRIVATE', 'a-third-room'),
      ];
      await withClient(database, async (client) => {
        for (const id of [roomId, ...others]) await fill(client, id);
        await client.query('analyze');
      });
    });
    afterAll(() => app[Symbol.asyncDispose]());

    async function fill(client: pg.Client, room: string): Promise<void> {
      const id = Buffer.from(room.slice('room_'.length), 'base64url').toString('hex');
      const author = (await client.query<{ id: string }>('select id from users')).rows[0]!.id;
      await client.query(
        `insert into messages (id, room_id, seq, author_id, body, created_at)
        select gen_random_uuid(), $1, n, $2, 'body', now() from generate_series(2, ${ROWS}) n`,
        [id, author],
      );
      await client.query(
        `with blob as (insert into blobs values ($1::uuid::text, $1::uuid::text, $1::uuid::text, 1) returning id)
        insert into files (id, room_id, seq, uploader_id, name, name_key, mime_type, size, sha256, blob_id, created_at)
        select gen_random_uuid(), $1::uuid, n, $2, md5(n::text), md5(n::text), 'text/plain', n % 100, 'sha', $1::uuid::text, now()
        from generate_series(${ROWS + 1}, ${2 * ROWS}) n`,
        [id, author],
      );
      await client.query(
        `with people as (
        insert into users (id, handle, name)
          select gen_random_uuid(), md5($1::uuid::text || n), 'name' from generate_series(1, ${ROWS}) n returning id
      ) insert into memberships (room_id, user_id, role, joined_at, joined_seq)
        select $1::uuid, id, 'MEMBER', now(), 2 * ${ROWS} + row_number() over () from people`,
        [id],
      );
      // Private rooms of others stand before and after the public ones; and before and after the viewer's own by id, so that what a
      // join by id walks over does not hang on random ids.
      await client.query(
        `insert into rooms (id, slug, name, visibility, tag, last_tag)
        select overlay(md5($1::uuid::text || n) placing case when n / 4 % 2 = 0 then '00' else 'ff' end from 1 for 2)::uuid,
          case when n % 2 = 0 then 'm' when n % 4 = 1 then '0' else 'z' end || md5($1::uuid::text || n), 'name',
          case when n % 2 = 0 then 'PUBLIC' else 'PRIVATE' end, 't', 't'
        from generate_series(1, ${ROWS}) n`,
        [id],
      );
      await client.query(
        `update rooms set last_seq = 4 * ${ROWS}, member_count = ${ROWS}, message_count = ${ROWS}, file_count = ${ROWS} where id = $1`,
        [id],
      );
    }

    /** The statements that read a page of 20 rows: from each end, and from deep inside, either way. */
    async function pagesOf(field: string, args: string): Promise<Statement[]> {
      const read = async (more: string, cursor?: string): Promise<string> => {
        const variables = more.includes('$cursor') ? '$id: ID!, $cursor: String' : '$id: ID!';
        const page = `(${more}${args}) { edges { cursor node { id } } pageInfo { endCursor } }`;
        const inRoom = field === 'rooms' ? '' : `list: ${field}${page}`;
        const beside = field === 'rooms' ? `list: rooms${page}` : '';
        const data = await owner.run(`query (${variables}) { room(id: $id) { slug ${inRoom} } ${beside} }`, {
          id: roomId,
          cursor,
        });
        const list = data['list'] ?? data['room'].list;
        expect(list.edges).toHaveLength(Number(/\d+/.exec(more)![0]));
        return list.pageInfo.endCursor as string;
      };
      // Half way into the list.
      let cursor: string | undefined;
      for (let i = 0; i < ROWS / 200; i++)
        cursor = await read(cursor === undefined ? 'first: 100' : 'first: 100, after: $cursor', cursor);
      const all = await statementsOf(async () => {
        await read('first: 20');
        await read('last: 20');
        await read('first: 20, after: $cursor', cursor);
        await read('last: 20, before: $cursor', cursor);
      });
      const table = field === 'members' ? 'memberships' : field;
      const pages = all.filter(
        ({ text }) => /from "?(\w+)/.exec(text)?.[1] === table && text.includes('order by'),
      );
      expect(pages.length).toBeGreaterThanOrEqual(4);
      return pages;
    }

    /** Those that are prepared are planned without a look at their values, once they have come a few times. */
    async function preparedPlansOf(statements: Statement[]): Promise<Plan[]> {
      return withClient(database, async (client) => {
        const plans: Plan[] = [];
        await client.query('set plan_cache_mode = force_generic_plan');
        for (const [i, { text, values }] of statements.entries()) {
          await client.query(`prepare page_${i} as ${text}`);
          const { rows } = await client.query<{ 'QUERY PLAN': { Plan: Plan }[] }>(
            `explain (analyze, format json) execute page_${i}(${values.map((value) => client.escapeLiteral(String(value))).join()})`,
          );
          plans.push(rows[0]!['QUERY PLAN'][0]!.Plan);
        }
        return plans;
      });
    }

    async function plansOf(statements: Statement[]): Promise<Plan[]> {
      return withClient(database, async (client) => {
        const plans: Plan[] = [];
        for (const { text, values } of statements) {
          const { rows } = await client.query<{ 'QUERY PLAN': { Plan: Plan }[] }>(
            `explain (analyze, format json) ${text}`,
            [...values],
          );
          plans.push(rows[0]!['QUERY PLAN'][0]!.Plan);
        }
        return plans;
      });
    }

    test.each([
      { name: 'messages', field: 'messages', args: '' },
      { name: 'members', field: 'members', args: '' },
      ...ORDERS.map(({ field, direction }) => ({
        name: `files by ${field} ${direction}`,
        field: 'files',
        args: `, orderBy: { field: ${field}, direction: ${direction} }`,
      })),
    ])('of $name reads the page and no more, and sorts nothing', async ({ field, args }) => {
      const pages = await pagesOf(field, args);
      const plans = await plansOf(pages);
      if (field === 'messages') plans.push(...(await preparedPlansOf(pages)));
      for (const plan of plans) {
        const told = JSON.stringify(plan, undefined, 1);
        // The author of each message is looked up beside it, by id.
        const [list, authors] = field === 'messages' ? listAndAuthors(plan) : [plan];
        expect(
          nodesOf(list).map((node) => node['Node Type']),
          told,
        ).toEqual(['Limit', 'Index Scan']);
        expect(touched(list), told).toBeLessThanOrEqual(22);
        if (authors !== undefined) {
          expect(
            nodesOf(authors).map((node) => [node['Node Type'], node['Index Name']]),
            told,
          ).toEqual([
            ['Memoize', undefined],
            ['Index Scan', 'users_pkey'],
          ]);
        }
      }
    });

    test.each([
      { name: 'rooms', args: '' },
      { name: 'public rooms', args: ', filter: { visibility: PUBLIC }' },
      { name: 'rooms to join', args: ', filter: { joined: false }' },
    ])(
      "of $name reads the page and the viewer's own rooms, and never walks over the private rooms of others",
      async ({ args }) => {
        for (const plan of await plansOf(await pagesOf('rooms', args))) {
          const told = JSON.stringify(plan, undefined, 1);
          expect(
            nodesOf(plan).map((node) => node['Node Type']),
            told,
          ).not.toContain('Seq Scan');
          expect(touched(plan), told).toBeLessThan(100);
        }
      },
    );
  },
);
