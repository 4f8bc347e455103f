import { parse } from 'graphql';
import { describe, expect, test } from 'vitest';
import { createLogger } from '../observability/logger.js';
import { Context, type ContextParts } from '../graphql/context.js';
import { schema } from '../schema.js';
import { selectionOf, type Selection } from './selection.js';

function select(
  query: string,
  variableValues: Record<string, unknown> = {},
  { viewer = 'ada', operationName }: { viewer?: string; operationName?: string } = {},
): Selection {
  const authentication = { kind: 'viewer', viewer: { id: viewer } };
  const contextValue = new Context({ authentication, logger: createLogger('silent') } as ContextParts);
  return selectionOf({ schema, document: parse(query), variableValues, operationName, contextValue });
}

const name = (...args: Parameters<typeof select>): string => select(...args).name;

const LITERAL =
  'subscription { roomEvents(roomId: "room_1") { cursor ... on FileAdded { file { url(expiresIn: 60) } } } }';

describe('What subscribers are sent alike', () => {
  test('is known by what it selects, however its values are given', () => {
    const expected = name(LITERAL);
    const variants: [string, Record<string, unknown>][] = [
      [
        'subscription Live { roomEvents(roomId: "room_1") { cursor, ... on FileAdded { file { url(expiresIn: 60) } } } }',
        {},
      ],
      [
        'subscription ($r: ID!, $s: Int!) { roomEvents(roomId: $r) { cursor ... on FileAdded { file { url(expiresIn: $s) } } } }',
        { r: 'room_1', s: 60 },
      ],
      [
        'subscription ($seconds: Int! = 60, $room: ID = "room_1") { roomEvents(roomId: $room) { cursor ... on FileAdded { file { url(expiresIn: $seconds) } } } }',
        {},
      ],
      [
        'subscription ($s: Int! = 60, $unused: Int) { roomEvents(roomId: """room_1""") { cursor ... on FileAdded { file { url(expiresIn: $s) } } } }',
        { unused: 7 },
      ],
    ];
    for (const [query, variables] of variants) expect(name(query, variables), query).toBe(expected);
  });

  test('does not hang on where each begins', () => {
    const expected = name('subscription { roomEvents(roomId: "room_1") { cursor } }');
    const variants: [string, Record<string, unknown>][] = [
      ['subscription { roomEvents(roomId: "room_1", after: "abc") { cursor } }', {}],
      ['subscription { roomEvents(last: 3, roomId: "room_1") { cursor } }', {}],
      [
        'subscription ($after: String, $last: Int) { roomEvents(after: $after, last: $last, roomId: "room_1") { cursor } }',
        { after: 'abc' },
      ],
      [
        'subscription ($after: String) { roomEvents(after: $after, roomId: "room_1") { cursor } }',
        { after: 'def' },
      ],
    ];
    for (const [query, variables] of variants) expect(name(query, variables), query).toBe(expected);
  });

  test('differs wherever what is sent would', () => {
    const query = (rest: string, fragment = 'id'): string =>
      `subscription ($yes: Boolean! = true, $s: Int! = 60) { roomEvents(roomId: "room_1") { ${rest} } }
       fragment F on FileAdded { file { ${fragment} } }`;
    const names = [
      name(query('cursor ...F')),
      name(query('...F cursor')),
      name(query('place: cursor ...F')),
      name(query('cursor ...F', 'name')),
      name(query('cursor @include(if: $yes) ...F')),
      name(query('cursor @include(if: $yes) ...F'), { yes: false }),
      name(query('cursor ...F', 'url(expiresIn: $s)')),
      name(query('cursor ...F', 'url(expiresIn: $s)'), { s: 61 }),
      name(query('cursor ...F').replace('room_1', 'room_2')),
      name('subscription { messageAdded(roomId: "room_1") { cursor } }'),
    ];
    expect(new Set(names).size).toBe(names.length);
  });

  test('takes `after` and `last` of other fields than the root for what they are', () => {
    const messages = (last: number): string =>
      `subscription { roomEvents(roomId: "room_1") { room { messages(last: ${last}) { totalCount } } } }`;
    expect(name(messages(1))).not.toBe(name(messages(2)));
    const both = `subscription ($n: Int) { roomEvents(roomId: "room_1", last: $n) { room { messages(last: $n) { totalCount } } } }`;
    expect(name(both, { n: 1 })).not.toBe(name(both, { n: 2 }));
  });

  test('takes the operation that is asked for', () => {
    const two =
      'subscription A { roomEvents(roomId: "room_1") { cursor } } subscription B { roomEvents(roomId: "room_1") { at } }';
    const only = name('subscription { roomEvents(roomId: "room_1") { at } }');
    expect(name(two, {}, { operationName: 'B' })).toBe(only);
    expect(name(two, {}, { operationName: 'A' })).not.toBe(only);
  });

  test('is for one viewer alone where a field hangs on who asks', () => {
    const all = 'subscription { roomEvents(roomId: "room_1") { room { name } } }';
    expect(select(all)).toMatchObject({ needsViewer: false, showsRoom: true });
    expect(name(all, {}, { viewer: 'ada' })).toBe(name(all, {}, { viewer: 'bob' }));
    const own = `subscription { roomEvents(roomId: "room_1") { ...R } }
                 fragment R on RoomEvent { room { viewerMembership { role } } }`;
    expect(select(own)).toMatchObject({ needsViewer: true, showsRoom: true });
    expect(name(own, {}, { viewer: 'ada' })).not.toBe(name(own, {}, { viewer: 'bob' }));
    expect(name(own, {}, { viewer: 'ada' })).toBe(name(own, {}, { viewer: 'ada' }));
  });
});
