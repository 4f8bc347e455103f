import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PageCursors } from '../graphql/page-cursor.js';
import { decodeEventCursor, encodeEventCursor } from './event-cursor.js';

const cursor = fc.record({
  roomId: fc.uuid(),
  seq: fc.nat({ max: 2 ** 48 - 1 }),
  tag: fc.uint8Array({ minLength: 8, maxLength: 8 }).map((bytes) => Buffer.from(bytes).toString('base64url')),
});

describe('An event cursor', () => {
  test('brings its place back, and is safe in an address', () => {
    fc.assert(
      fc.property(cursor, (place) => {
        const text = encodeEventCursor(place);
        expect(text).toMatch(/^[\w-]{42}$/);
        expect(decodeEventCursor(text)).toEqual(place);
      }),
    );
  });

  test('has one spelling: what is altered is no cursor, or that of another place', () => {
    fc.assert(
      fc.property(
        cursor,
        fc.nat({ max: 41 }),
        fc.constantFrom(...Array.from('ABab01-_+/=. ')),
        (place, i, character) => {
          const text = encodeEventCursor(place);
          fc.pre(text[i] !== character);
          const altered = decodeEventCursor(text.slice(0, i) + character + text.slice(i + 1));
          if (altered !== undefined) expect(altered).not.toEqual(place);
          for (const longer of [
            `${text}A`,
            `${text}=`,
            ` ${text}`,
            `${text}\n`,
            text.slice(1),
            text.slice(0, -1),
            '',
          ]) {
            expect(decodeEventCursor(longer)).toBeUndefined();
          }
        },
      ),
    );
  });

  test('is nothing that was not made as one', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.base64String({ minLength: 40, maxLength: 44 })), (text) => {
        const place = decodeEventCursor(text);
        if (place !== undefined) expect(encodeEventCursor(place)).toBe(text);
      }),
    );
    const pages = new PageCursors(Buffer.alloc(32));
    for (let n = 0; n < 2000; n++)
      expect(decodeEventCursor(pages.encode('list', ['x'.repeat(n % 40), n]))).toBeUndefined();
  });
});
