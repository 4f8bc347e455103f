import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodeEventCursor } from '../events/event-cursor.js';
import { PageCursors, type PageKey } from './page-cursor.js';

const cursors = new PageCursors(Buffer.alloc(32, 1));
const key = fc.array(fc.oneof(fc.maxSafeInteger(), fc.string({ unit: 'grapheme' })), {
  minLength: 1,
  maxLength: 3,
});
const list = fc.string({ maxLength: 20 });
const badCursor = expect.objectContaining({ code: 'BAD_CURSOR', details: { field: 'after' } });

const refusal = (text: string, of: string, reader = cursors): unknown => {
  try {
    return reader.decode(of, text, 'after');
  } catch (error) {
    return error;
  }
};

describe('A page cursor', () => {
  test('brings its key back, and is safe in an address', () => {
    fc.assert(
      fc.property(list, key, (of, values) => {
        const text = cursors.encode(of, values);
        expect(text).toMatch(/^[\w-]+$/);
        expect(cursors.decode(of, text, 'after')).toEqual(values);
      }),
    );
  });

  test('is refused once anything of it is altered', () => {
    fc.assert(
      fc.property(
        list,
        key,
        fc.nat(),
        fc.constantFrom(...Array.from('ABab01-_+/=. ')),
        (of, values, at, character) => {
          const text = cursors.encode(of, values);
          const i = at % text.length;
          for (const altered of [
            text.slice(0, i) + character + text.slice(i + 1),
            text.slice(0, i) + character + text.slice(i),
            text.slice(0, i) + text.slice(i + 1),
            text.slice(0, i),
          ]) {
            if (altered !== text) expect(refusal(altered, of)).toEqual(badCursor);
          }
        },
      ),
    );
  });

  test('is refused whatever else is sent in its place', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.base64String(),
          fc.uint8Array().map((bytes) => Buffer.from(bytes).toString('base64url')),
        ),
        (text) => {
          expect(refusal(text, 'list')).toEqual(badCursor);
        },
      ),
    );
  });

  test('is refused before it is read, so that none is too deep to be refused', () => {
    const deep = Buffer.from('['.repeat(50_000) + ']'.repeat(50_000)).toString('base64url');
    for (const kind of ['p', 'n']) expect(refusal(`${kind}AAAAAAAAAAAA${deep}`, 'list')).toEqual(badCursor);
  });

  test('of one number has the form of earlier versions as well', () => {
    expect(cursors.decode('messages', 'pf6I7vwLlNvoiWzVd', 'after')).toEqual([5]);
    expect(refusal('pf6I7vwLlNvoiWzVd', 'other')).toEqual(badCursor);
  });

  test('belongs to one list', () => {
    fc.assert(
      fc.property(list, list, key, (of, other, values) => {
        fc.pre(of !== other);
        expect(refusal(cursors.encode(of, values), other)).toEqual(badCursor);
      }),
    );
  });

  test.each<[string, PageKey, string, PageKey]>([
    ['a', [1], 'a\0[1]', [2]],
    ['rooms', [11], 'rooms1', [1]],
  ])('of %j %j does not pass for one of %j %j', (of, values, other) => {
    expect(refusal(cursors.encode(of, values), other)).toEqual(badCursor);
  });

  test('is made by nobody without the secret', () => {
    const theirs = new PageCursors(Buffer.alloc(32, 2));
    expect(refusal(theirs.encode('list', [1]), 'list')).toEqual(badCursor);
  });

  test('is no event cursor', () => {
    const event = encodeEventCursor({
      roomId: '01900000-0000-7000-8000-000000000000',
      seq: 1,
      tag: 'AAAAAAAAAAA',
    });
    expect(refusal(event, 'list')).toEqual(badCursor);
  });
});
