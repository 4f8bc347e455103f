import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { App } from '../../src/app.js';
import { limits } from '../../src/graphql/limits.js';
import { startParley } from '../support/app.js';
import { signUp, type Client } from '../support/client.js';

describe('What an operation costs', () => {
  let app: App;
  let user: Client;
  let roomId: string;

  beforeAll(async () => {
    app = await startParley('embedded');
    user = await signUp(app.url);
    roomId = await user.createRoom();
  });
  afterAll(() => app[Symbol.asyncDispose]());

  /** The codes that a field is answered with which stands there so many times. */
  async function codesOf(field: string, count: number, variables = {}): Promise<string[]> {
    const fields = Array.from({ length: count }, (_, i) => `a${i}: ${field}`).join(' ');
    const declared = [
      ['f', 'FileFilter'],
      ['n', 'String'],
      ['page', 'Int!'],
      ['size', 'Int!'],
    ]
      .filter(([name]) => fields.includes(`$${name}`))
      .map(([name, type]) => `, $${name}: ${type}`)
      .join('');
    const query = `query ($id: ID!${declared}) { room(id: $id) { id } ${fields} }`;
    const { errors } = await user.ask(query, { id: roomId, ...variables });
    return errors.map(({ extensions }) => String(extensions['code']));
  }
  const inRoom = (list: string): string => `room(id: $id) { ${list} { edges { node { id } } } }`;
  const LIST = '{ edges { node { id } } }';

  test.each<[string, string, object?]>([
    ['a part of a name', inRoom('files(filter: { nameContains: "zebra" })')],
    ['a part of a name in a variable', inRoom('files(filter: $f)'), { f: { nameContains: 'zebra' } }],
    ['a part of a name as a variable', inRoom('files(filter: { nameContains: $n })'), { n: 'z' }],
    [
      'a type and an uploader',
      inRoom('files(filter: { mimeType: "image/png", uploaderId: "user_x" }, first: 0)'),
    ],
    [
      'a range of time in another order',
      inRoom('files(filter: { createdAfter: "2026-01-01T00:00:00Z" }, orderBy: { field: NAME })'),
    ],
    [
      'the number of those of a type',
      'room(id: $id) { files(filter: { mimeType: "image/png" }, first: 0) { totalCount } }',
    ],
    [
      'the number of those of a time',
      'room(id: $id) { files(filter: { createdBefore: "2026-01-01T00:00:00Z" }, first: 0) { totalCount } }',
    ],
    ['all rooms of the viewer', `files ${LIST}`],
    [
      'all rooms of the viewer, searched',
      `files(filter: $f) { totalCount }`,
      { f: { nameContains: 'zebra' } },
    ],
    ['rooms by a part of their names', `rooms(filter: { nameContains: "zebra" }) ${LIST}`],
    [
      'joined rooms by a part of their names',
      `rooms(first: 1, filter: { nameContains: $n, joined: true }) ${LIST}`,
      { n: 'a' },
    ],
    ['a numbered page that lies deep', 'filePage(roomId: $id, page: 100, size: 100) { total }'],
    [
      'a numbered page that lies deep, by variables',
      'filePage(roomId: $id, page: $page, size: $size) { total }',
      { page: 10_000, size: 1 },
    ],
    [
      'a numbered page that is filtered',
      'filePage(roomId: $id, size: 1, filter: { mimeType: "image/*" }) { total }',
    ],
  ])('tells what is scanned for %s', async (_what, field, variables) => {
    expect(await codesOf(field, limits.aliases, variables)).toEqual(['QUERY_TOO_COMPLEX']);
    expect(await codesOf(field, 5, variables)).not.toContain('QUERY_TOO_COMPLEX');
  });

  test.each<[string, string, object?]>([
    ['no filter', inRoom('files')],
    ['the number of all', 'room(id: $id) { files { totalCount } }'],
    ['a filter of nothing', inRoom('files(filter: {})')],
    ['a filter that is null', inRoom('files(filter: $f)'), { f: null }],
    ['a filter that is not given', inRoom('files(filter: $f)')],
    ['an empty part of a name', inRoom('files(filter: { nameContains: $n })'), { n: '' }],
    ['a part of a name that is null', `rooms(filter: { nameContains: $n }) ${LIST}`, { n: null }],
    ['a first numbered page', 'filePage(roomId: $id) { total }'],
  ])('is that of its rows with %s', async (_what, field, variables) => {
    expect(await codesOf(field, limits.aliases, variables)).toEqual([]);
  });

  test('is told apart by the values of variables, however often it comes', async () => {
    const field = inRoom('files(filter: { nameContains: $n })');
    for (let i = 0; i < 3; i++) {
      expect(await codesOf(field, limits.aliases, { n: null })).toEqual([]);
      expect(await codesOf(field, limits.aliases, { n: 'zebra' })).toEqual(['QUERY_TOO_COMPLEX']);
      expect(await codesOf(field, limits.aliases)).toEqual([]);
    }
  });
});
