import { describe, expect, test, vi } from 'vitest';
import { Executions } from './executions.js';

describe('The end of all executions', () => {
  test('is there when nothing is executed, or was over at once', async () => {
    const executions = new Executions();
    expect(executions.track('an answer')).toBe('an answer');
    await executions.idle(60_000);
  });

  test('comes when the last one has settled, well or not', async () => {
    const executions = new Executions();
    let succeed: () => void = () => undefined;
    let fail: (error: Error) => void = () => undefined;
    void executions.track(new Promise<void>((resolve) => (succeed = resolve)));
    const failing = executions.track(new Promise<void>((_resolve, reject) => (fail = reject)));
    let isOver = false;
    const over = executions.idle(60_000).then(() => {
      isOver = true;
    });
    succeed();
    await new Promise(setImmediate);
    expect(isOver).toBe(false);
    fail(new Error('refused'));
    await expect(failing).rejects.toThrow('refused');
    await over;
  });

  test('is not waited for beyond its time', async () => {
    vi.useFakeTimers();
    const executions = new Executions();
    void executions.track(new Promise<void>(() => undefined));
    const over = executions.idle(5000);
    await vi.advanceTimersByTimeAsync(5000);
    await over;
    vi.useRealTimers();
  });
});
