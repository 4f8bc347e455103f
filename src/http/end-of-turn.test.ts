import { expect, test } from 'vitest';
import { endOfTurn } from './end-of-turn.js';

test('What is ready in one turn of the event loop leaves in order, after all that was done in it', async () => {
  const log: string[] = [];
  const answer = async (n: number): Promise<void> => {
    log.push(`executed ${n}`);
    await endOfTurn();
    log.push(`left ${n}`);
  };
  const all = [1, 2, 3].map(answer);
  await Promise.resolve();
  expect(log).toEqual(['executed 1', 'executed 2', 'executed 3']);
  await Promise.all(all);
  expect(log.slice(3)).toEqual(['left 1', 'left 2', 'left 3']);
  await answer(4);
  expect(log.slice(6)).toEqual(['executed 4', 'left 4']);
});

test('No answer waits for more than 31 others, however many are ready', async () => {
  let left = 0;
  const all = Array.from({ length: 70 }, async () => {
    await endOfTurn();
    left++;
  });
  // Before the turn is over.
  await Promise.resolve();
  expect(left).toBe(64);
  await Promise.all(all);
  expect(left).toBe(70);
});
