import { describe, expect, test, vi } from 'vitest';
import { MemoryBus } from './bus-memory.js';

describe('The bus of a single process', () => {
  test('tells everyone who listens to a topic, in order, in a later turn', async () => {
    const bus = new MemoryBus();
    const [first, second, other] = [vi.fn(), vi.fn(), vi.fn()];
    await bus.subscribe('room', first);
    await bus.subscribe('room', second);
    await bus.subscribe('another', other);
    bus.publish('room', 1);
    bus.publish('room', 2);
    expect(first).not.toHaveBeenCalled();
    await vi.waitFor(() => expect(second).toHaveBeenCalledTimes(2));
    expect(first.mock.calls).toEqual([[1], [2]]);
    expect(second.mock.calls).toEqual([[1], [2]]);
    expect(other).not.toHaveBeenCalled();
  });

  test('tells those no more who have left, and goes on for the others', async () => {
    const bus = new MemoryBus();
    const [gone, stays] = [vi.fn(), vi.fn()];
    const subscription = await bus.subscribe('room', gone);
    await bus.subscribe('room', stays);
    await subscription.unsubscribe();
    bus.publish('room', 1);
    await vi.waitFor(() => expect(stays).toHaveBeenCalledOnce());
    expect(gone).not.toHaveBeenCalled();
  });
});
