import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { SilenceWatch } from './silence-watch.js';

describe('A watch for silence', () => {
  const silent = vi.fn();
  let received: number | undefined;
  let watch: SilenceWatch;
  const watched = { received: () => received, silent };

  beforeEach(() => {
    vi.useFakeTimers();
    silent.mockReset();
    received = 0;
    watch = new SilenceWatch(1000);
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test('says once that nothing was received for the limit', () => {
    watch.add(watched);
    vi.advanceTimersByTime(900);
    expect(silent).not.toHaveBeenCalled();
    vi.advanceTimersByTime(5000);
    expect(silent).toHaveBeenCalledOnce();
  });

  test('says nothing of what receives a little now and then', () => {
    watch.add(watched);
    for (let i = 0; i < 10; i += 1) {
      vi.advanceTimersByTime(900);
      received = i + 1;
    }
    expect(silent).not.toHaveBeenCalled();
  });

  test('says nothing of what waits for nothing', () => {
    received = undefined;
    watch.add(watched);
    vi.advanceTimersByTime(60_000);
    expect(silent).not.toHaveBeenCalled();
  });

  test('looks no more once it has nothing to look at', () => {
    const stop = watch.add(watched);
    stop();
    vi.advanceTimersByTime(60_000);
    expect(silent).not.toHaveBeenCalled();
    expect(vi.getTimerCount()).toBe(0);
  });
});
