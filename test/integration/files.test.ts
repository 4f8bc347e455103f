import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { App } from '../../src/app.js';
import { backends, startParley } from '../support/app.js';
import { Client, signUp, type Variables } from '../support/client.js';
import { manyFiles, multipart } from '../support/uploads.js';

const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);

const LIST = `query ($id: ID!, $first: Int, $after: String, $last: Int, $before: String, $filter: FileFilter, $orderBy: FileOrder) {
  room(id: $id) { files(first: $first, after: $after, last: $last, before: $before, filter: $filter, orderBy: $orderBy) {
    totalCount eventCursor pageInfo { hasNextPage hasPreviousPage startCursor endCursor } edges { cursor node { name } } } } }`;

const PAGE = `query ($roomId: ID!, $page: Int, $size: Int, $filter: FileFilter, $orderBy: FileOrder) {
  filePage(roomId: $roomId, page: $page, size: $size, filter: $filter, orderBy: $orderBy) { items { name } total page size pages } }`;

/** Names with their sizes: equal in one order, different in another. */
const FILES = [
  ['b.png', 200],
  ['A.png', 300],
  ['c.txt', 100],
  ['a.png', 100],
  ['50%_off.txt', 100],
  ['B.png', 200],
  ['ä.txt', 50],
  ['notes.csv', 70],
] as const;

describe.each(backends)('lists of files on %s', (backend) => {
  let app: App;
  let ada: Client;
  let bob: Client;
  let roomId: string;

  beforeAll(async () => {
    app = await startParley(backend);
    [ada, bob] = await Promise.all([signUp(app.url), signUp(app.url)]);
    roomId = await ada.createRoom();
    await bob.join(roomId);
    const request = await multipart(ada).head(...manyFiles(roomId, FILES.length - 1));
    for (const [i, [name, size]] of FILES.slice(0, -1).entries()) {
      const isPicture = name.endsWith('.png');
      await request.file(
        String(i),
        name,
        isPicture ? Buffer.concat([PNG, randomBytes(size - PNG.length)]) : 'x'.repeat(size),
      );
    }
    await request.end();
    await bob.upload(roomId, 'notes.csv', 'x'.repeat(70));
  });
  afterAll(() => app[Symbol.asyncDispose]());

  const list = async (variables: Variables = {}, client = ada): Promise<any> =>
    (await client.run(LIST, { id: roomId, ...variables }))['room'].files;
  const names = (files: any): string[] => files.edges.map(({ node }: any) => node.name);

  test('the newest comes first', async () => {
    expect(names(await list())).toEqual(FILES.map(([name]) => name).reverse());
  });

  test.each([
    [{ field: 'CREATED_AT', direction: 'ASC' }, 'b.png A.png c.txt a.png 50%_off.txt B.png ä.txt notes.csv'],
    [{ field: 'NAME', direction: 'ASC' }, '50%_off.txt A.png a.png b.png B.png c.txt notes.csv ä.txt'],
    [{ field: 'NAME', direction: 'DESC' }, 'ä.txt notes.csv c.txt B.png b.png a.png A.png 50%_off.txt'],
    [{ field: 'SIZE', direction: 'ASC' }, 'ä.txt notes.csv c.txt a.png 50%_off.txt b.png B.png A.png'],
    [{ field: 'SIZE' }, 'A.png B.png b.png 50%_off.txt a.png c.txt notes.csv ä.txt'],
  ])('the order is %o', async (orderBy, expected) => {
    expect(names(await list({ orderBy })).join(' ')).toBe(expected);
    const { filePage } = await ada.run(PAGE, { roomId, orderBy });
    expect(filePage.items.map(({ name }: any) => name).join(' ')).toBe(expected);
  });

  test.each([
    [{ mimeType: 'image/*' }, 4],
    [{ mimeType: 'IMAGE/png' }, 4],
    [{ mimeType: 'text/plain' }, 3],
    [{ mimeType: 'text/*' }, 4],
    [{ mimeType: 'video/*' }, 0],
    [{ nameContains: 'A' }, 2],
    [{ nameContains: '%_' }, 1],
    [{ nameContains: '_' }, 1],
    [{ nameContains: 'Ä' }, 1],
    [{ nameContains: 'a', mimeType: 'image/png' }, 2],
  ])('the filter %o finds %d', async (filter, count) => {
    const files = await list({ filter });
    expect([files.edges.length, files.totalCount]).toEqual([count, count]);
    const { filePage } = await ada.run(PAGE, { roomId, filter });
    expect([filePage.items.length, filePage.total]).toEqual([count, count]);
  });

  test('the filter finds those of one uploader', async () => {
    const { viewer } = await bob.run('{ viewer { user { id } } }');
    expect(names(await list({ filter: { uploaderId: viewer.user.id } }))).toEqual(['notes.csv']);
    expect(await ada.refusal(LIST, { id: roomId, filter: { uploaderId: roomId } })).toBe('BAD_USER_INPUT');
    expect(await ada.refusal(LIST, { id: roomId, filter: { mimeType: '*/*' } })).toBe('BAD_USER_INPUT');
  });

  test('paging by any sizes, forward and backward, in any order yields every file once', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('CREATED_AT', 'NAME', 'SIZE'),
        fc.constantFrom('ASC', 'DESC'),
        fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 4 }),
        fc.boolean(),
        async (field, direction, sizes, backward) => {
          const orderBy = { field, direction };
          const whole = names(await list({ orderBy }));
          const found: string[] = [];
          let cursor: string | null = null;
          for (let i = 0; ; i += 1) {
            const count = sizes[i % sizes.length];
            const page: any = await list({
              orderBy,
              ...(backward ? { last: count, before: cursor } : { first: count, after: cursor }),
            });
            if (backward) found.unshift(...names(page));
            else found.push(...names(page));
            const { hasNextPage, hasPreviousPage, startCursor, endCursor } = page.pageInfo;
            expect(hasPreviousPage).toBe(backward ? found.length < whole.length : i > 0);
            expect(hasNextPage).toBe(backward ? i > 0 : found.length < whole.length);
            if (!(backward ? hasPreviousPage : hasNextPage)) break;
            cursor = backward ? startCursor : endCursor;
          }
          expect(found).toEqual(whole);
        },
      ),
      { numRuns: 15 },
    );
  });

  test('a cursor belongs to its filter and order', async () => {
    const { pageInfo } = await list({ first: 2 });
    const after = pageInfo.endCursor;
    expect(await ada.refusal(LIST, { id: roomId, after, orderBy: { field: 'NAME' } })).toBe('BAD_CURSOR');
    expect(await ada.refusal(LIST, { id: roomId, after, filter: { mimeType: 'image/*' } })).toBe(
      'BAD_CURSOR',
    );
    expect(await ada.refusal(LIST, { id: await ada.createRoom(), after })).toBe('BAD_CURSOR');
    expect(
      names(await list({ first: 2, after, orderBy: { field: 'CREATED_AT', direction: 'DESC' } })),
    ).toHaveLength(2);
  });

  test('numbered pages count and end where they end', async () => {
    const page = async (variables: Variables): Promise<any> =>
      (await ada.run(PAGE, { roomId, ...variables }))['filePage'];
    expect(await page({ size: 3, page: 3 })).toMatchObject({
      items: [{}, {}],
      total: 8,
      page: 3,
      size: 3,
      pages: 3,
    });
    expect(await page({ size: 3, page: 4 })).toMatchObject({ items: [], total: 8, pages: 3 });
    expect(await page({ filter: { nameContains: 'nothing' } })).toMatchObject({
      items: [],
      total: 0,
      pages: 0,
    });
    for (const wrong of [
      { page: 0 },
      { size: 0 },
      { size: 101 },
      { page: 101, size: 100 },
      { page: -1 },
      { page: 2_000_000_000, size: 100 },
    ]) {
      expect(await ada.refusal(PAGE, { roomId, ...wrong })).toBe('BAD_USER_INPUT');
    }
    expect(await page({ page: 100, size: 100 })).toMatchObject({ items: [] });
  });

  test('files and lists of files are for members', async () => {
    const { room } = await ada.run(
      `query ($id: ID!) { room(id: $id) { files(first: 1) { edges { node { id } } } } }`,
      { id: roomId },
    );
    const { id } = room.files.edges[0].node;
    const node = `query ($id: ID!) { node(id: $id) { id } }`;
    const nodes = `query ($id: ID!) { nodes(ids: [$id]) { id } }`;
    expect(await bob.run(node, { id })).toEqual({ node: { id } });
    expect(await bob.run(nodes, { id })).toEqual({ nodes: [{ id }] });
    for (const outsider of [await signUp(app.url), new Client(app.url)]) {
      expect(await outsider.run(node, { id })).toEqual({ node: null });
      expect(await outsider.run(nodes, { id })).toEqual({ nodes: [null] });
      expect(await outsider.run(PAGE, { roomId })).toEqual({ filePage: null });
    }
    const stranger = await signUp(app.url);
    expect(
      await stranger.run(`query ($id: ID!) { room(id: $id) { name files { totalCount } } }`, { id: roomId }),
    ).toMatchObject({
      room: { files: null },
    });
  });

  test('a file tells of its room and its uploader', async () => {
    const { room } = await bob.run(
      `query ($id: ID!) { room(id: $id) { files(first: 1) { edges { node { room { id } uploader { id } createdAt size } } } } }`,
      { id: roomId },
    );
    expect(room.files.edges[0].node).toMatchObject({
      room: { id: roomId },
      uploader: { id: bob.userId },
      size: 70,
    });
  });
});
