import { renewLinks } from 'parley/client';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';

const NOW = Date.parse('2026-01-01T00:00:00Z');
const link = (id: string, endsIn: number) => ({
  id,
  url: `https://parley.example/files/${id}/a.png?expires=${Date.now() / 1000 + endsIn}&signature=x`,
});
const pass = (seconds: number): Promise<unknown> => vi.advanceTimersByTimeAsync(seconds * 1000);

const asked = vi.fn<(ids: readonly string[]) => Promise<void>>();
beforeEach(() => {
  vi.useFakeTimers({ now: NOW });
  asked.mockReset().mockResolvedValue();
});
afterEach(() => void vi.useRealTimers());

test('Links are renewed when a quarter of their life is left, those that follow soon along with them', async () => {
  const links = renewLinks(900, asked);
  links.show([link('a', 950), link('b', 980), link('c', 1100)]);
  await pass(670);
  expect(asked).not.toHaveBeenCalled();
  await pass(10);
  expect(asked.mock.calls).toEqual([[['a', 'b', 'c']]]);
  links.show(['a', 'b', 'c'].map((id) => link(id, 1000)));
  await pass(600);
  expect(asked).toHaveBeenCalledTimes(1);
  await pass(100);
  expect(asked).toHaveBeenCalledTimes(2);
  links.stop();
  await pass(10_000);
  expect(asked).toHaveBeenCalledTimes(2);
});

test('A link from a cache that has almost run out is renewed at once, and one that is no longer shown never', async () => {
  const links = renewLinks(900, asked);
  links.show([link('old', 5), link('new', 1000)]);
  await pass(1);
  expect(asked.mock.calls).toEqual([[['old']]]);
  links.show([link('other', 1000)]);
  await pass(700);
  expect(asked.mock.calls.slice(1)).toEqual([[['other']]]);
});

test('What could not be renewed is asked for again after half a minute, until it can', async () => {
  asked.mockRejectedValueOnce(new Error('away')).mockRejectedValueOnce(new Error('away'));
  const links = renewLinks(900, asked);
  links.show([link('a', 5), link('b', 1000)]);
  await pass(20);
  expect(asked).toHaveBeenCalledTimes(1);
  await pass(20);
  expect(asked).toHaveBeenCalledTimes(2);
  await pass(100);
  expect(asked.mock.calls).toEqual([[['a']], [['a']], [['a']]]);
  links.stop();
});

test('A page that is back asks at once for what it missed', async () => {
  const page = new EventTarget();
  vi.stubGlobal('addEventListener', page.addEventListener.bind(page));
  vi.stubGlobal('removeEventListener', page.removeEventListener.bind(page));
  const links = renewLinks(900, asked);
  links.show([link('a', 1000)]);
  // A machine that sleeps runs no timers.
  vi.setSystemTime(NOW + 7_200_000);
  page.dispatchEvent(new Event('online'));
  await pass(0);
  expect(asked.mock.calls).toEqual([[['a']]]);
  links.stop();
  page.dispatchEvent(new Event('online'));
  await pass(10_000);
  expect(asked).toHaveBeenCalledTimes(1);
  vi.unstubAllGlobals();
});

test('A clock that is wrong here costs no more than one look in each quarter', async () => {
  const links = renewLinks(900, asked);
  // To a clock that is a day ahead all links have run out, to one that is behind they live for long.
  links.show([link('ahead', -86_400), link('behind', 86_400)]);
  await pass(1);
  expect(asked.mock.calls).toEqual([[['ahead']]]);
  links.show([link('ahead', -86_400), link('behind', 86_400)]);
  await pass(100);
  expect(asked).toHaveBeenCalledTimes(1);
  await pass(600);
  expect(asked.mock.calls.flat(2).filter((id) => id === 'behind')).toHaveLength(1);
  expect(asked.mock.calls.length).toBeLessThanOrEqual(5);
});

test('As many ids go along as `nodes` takes', async () => {
  const links = renewLinks(900, asked);
  links.show(Array.from({ length: 250 }, (_, i) => link(String(i), 900)));
  await pass(700);
  expect(asked.mock.calls.map(([ids]) => ids.length)).toEqual([100, 100, 50]);
});
