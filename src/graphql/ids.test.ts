import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeId, encodeId, parseId, type NodeTypeName } from './ids.js';

const TYPES: readonly NodeTypeName[] = ['User', 'Viewer', 'Room', 'Message', 'File'];

describe('A global id', () => {
  test('brings its type and its UUID back, and is safe in an address', () => {
    fc.assert(
      fc.property(fc.constantFrom(...TYPES), fc.uuid(), (type, id) => {
        const text = encodeId(type, id);
        expect(text).toMatch(/^[\w-]+$/);
        expect(parseId(text)).toEqual({ type, id });
        expect(decodeId(type, text, 'id')).toBe(id);
      }),
    );
  });

  test('of a membership names room and user', () => {
    fc.assert(
      fc.property(fc.uuid(), fc.uuid(), (room, user) => {
        expect(parseId(encodeId('RoomMember', `${room}:${user}`))).toEqual({
          type: 'RoomMember',
          id: `${room}:${user}`,
        });
      }),
    );
  });

  test('has one spelling, so that it serves as a cache key', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...TYPES),
        fc.uuid(),
        fc.nat(),
        fc.constantFrom(...Array.from('ABab01-_+/=. ')),
        (type, id, at, character) => {
          const text = encodeId(type, id);
          const i = at % text.length;
          fc.pre(text[i] !== character);
          const parsed = parseId(text.slice(0, i) + character + text.slice(i + 1));
          if (parsed !== undefined) expect(parsed).not.toEqual({ type, id });
          for (const other of [`${text}=`, `${text}A`, ` ${text}`, text.toUpperCase(), text.slice(0, -1)])
            expect(parseId(other)).toBeUndefined();
        },
      ),
    );
  });

  test('is nothing that was not made as one', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(parseId(text)).toBeUndefined();
      }),
    );
    for (const text of [
      '',
      '_',
      'user_',
      'nothing_AAAAAAAAAAAAAAAAAAAAAA',
      'member_AAAAAAAAAAAAAAAAAAAAAA',
      'constructor_AAAAAAAAAAAAAAAAAAAAAA',
    ]) {
      expect(parseId(text)).toBeUndefined();
    }
  });

  test('of another type is refused, with the name of the argument', () => {
    const id = '01900000-0000-7000-8000-000000000000';
    for (const type of TYPES) {
      for (const other of TYPES) {
        if (other === type) continue;
        expect(() => decodeId(type, encodeId(other, id), 'input.id')).toThrow(
          expect.objectContaining({ code: 'BAD_USER_INPUT', details: { field: 'input.id' } }),
        );
      }
    }
  });
});
