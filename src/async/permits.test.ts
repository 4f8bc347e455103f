import { expect, test } from 'vitest';
import { Permits } from './permits.js';
import { SilenceError } from './timeout.js';

test('Permits are given in order, and no more than there are', async () => {
  const permits = new Permits(1, 10_000, 'none was free');
  await permits.take();
  const given: number[] = [];
  const waiting = [1, 2, 3].map((n) => permits.take().then(() => given.push(n)));
  expect(permits.waiting).toBe(3);
  for (let n = 1; n <= 3; n += 1) {
    permits.give();
    await waiting[n - 1];
    expect(given).toEqual([1, 2, 3].slice(0, n));
  }
  permits.give();
  await permits.take();
});

test('Who waits for a permit in vain is told, and takes none', async () => {
  const permits = new Permits(1, 20, 'none was free');
  await permits.take();
  await expect(permits.take()).rejects.toThrow(SilenceError);
  expect(permits.waiting).toBe(0);
  permits.give();
  await permits.take();
});
