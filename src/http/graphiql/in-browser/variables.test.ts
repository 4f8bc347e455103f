import { expect, test } from 'vitest';
import { fillVariables } from './variables.js';

const values = {
  seen: { createRoom: { room: { id: 'R1' }, rank: 3 }, rooms: { edges: [{ cursor: 'c0' }] }, signOut: null },
  tabOf: { signUp: 'SignUp' },
  random: 'plum',
};
const fill = (variables: unknown) => fillVariables(variables, values);

test('a placeholder that is the whole string becomes the value, whatever its type', () => {
  expect(fill({ a: '{{createRoom.rank}}', b: '{{ createRoom.room }}' })).toEqual({
    variables: { a: 3, b: { id: 'R1' } },
  });
});

test('a placeholder within a string is replaced there, at any depth', () => {
  expect(fill({ input: { list: ['{{random}}@{{createRoom.room.id}}', 7, null, true] } })).toEqual({
    variables: { input: { list: ['plum@R1', 7, null, true] } },
  });
});

test('a path goes through lists by index', () => {
  expect(fill('{{rooms.edges.0.cursor}}')).toEqual({ variables: 'c0' });
});

test('a random word is the same within one run', () => {
  expect(fill(['{{random}}', '{{random}}'])).toEqual({ variables: ['plum', 'plum'] });
});

test('what was never answered names the tab that answers it', () => {
  expect(fill({ input: '{{signUp.user.id}}' })).toEqual({
    missing:
      'Run the tab "SignUp" first: {{signUp.user.id}} stands for a value that has not been answered yet.',
  });
});

test('what was never answered and no tab answers is named by itself', () => {
  expect(fill('{{other.id}}')).toEqual({
    missing:
      'Run an operation that answers it first: {{other.id}} stands for a value that has not been answered yet.',
  });
  expect(fill('{{signOut.userId}}')).toHaveProperty('missing');
  expect(fill('{{createRoom.room.id.deeper}}')).toHaveProperty('missing');
});

test('no variables stay none', () => {
  expect(fill(undefined)).toEqual({ variables: undefined });
});
