import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Heartbeat } from './heartbeat.js';

describe('A heartbeat', () => {
  const onLost = vi.fn();
  const start = (beat: () => Promise<boolean>): Heartbeat =>
    new Heartbeat({ holdMs: 1000, heartbeatMs: 100 }, performance.now(), beat, onLost);

  beforeEach(() => {
    vi.useFakeTimers();
    onLost.mockReset();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test('keeps what it holds for as long as it beats', async () => {
    const heartbeat = start(() => Promise.resolve(true));
    await vi.advanceTimersByTimeAsync(60_000);
    expect(onLost).not.toHaveBeenCalled();
    heartbeat.stop();
    expect(vi.getTimerCount()).toBe(0);
  });

  test.each([
    ['hangs', () => new Promise<boolean>(() => undefined)],
    ['fails', () => Promise.reject<boolean>(new Error('away'))],
  ])('says once that it is lost before others may take over, when it %s', async (_how, beat) => {
    start(beat);
    await vi.advanceTimersByTimeAsync(700);
    expect(onLost).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(300);
    expect(onLost).toHaveBeenCalledOnce();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(onLost).toHaveBeenCalledOnce();
  });

  test('says at once that another has it', async () => {
    start(() => Promise.resolve(false));
    await vi.advanceTimersByTimeAsync(150);
    expect(onLost).toHaveBeenCalledOnce();
  });
});
