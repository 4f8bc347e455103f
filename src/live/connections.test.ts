import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { MemoryBus } from '../events/bus-memory.js';
import { createLogger } from '../observability/logger.js';
import { LiveConnections, type LiveConnection } from './connections.js';

/** A client that goes when it is told to. */
class Client implements LiveConnection {
  readonly viewer = undefined;
  constructor(
    private readonly connections: LiveConnections,
    private readonly name: number,
    private readonly gone: number[],
  ) {
    connections.add(this);
  }
  expire(): void {
    throw new Error('its sign-in goes on');
  }
  restart(): void {
    this.gone.push(this.name);
    this.connections.delete(this);
  }
}

describe('Clients of a server that stops', () => {
  let connections: LiveConnections;
  let gone: number[];
  beforeEach(() => {
    vi.useFakeTimers();
    const logger = createLogger('silent');
    connections = new LiveConnections({ bus: new MemoryBus(), logger, liveSessions: async () => new Set() });
    gone = [];
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  const connect = (count: number): Client[] =>
    Array.from({ length: count }, (_, name) => new Client(connections, name, gone));
  const inOrder = (names: number[]): number[] => names.toSorted((a, b) => a - b);

  test('are gone at once when they are few', async () => {
    connect(5);
    await connections.letGo();
    expect(inOrder(gone)).toEqual([0, 1, 2, 3, 4]);
  });

  test('are let go evenly and in random order, over a time that grows with their number', async () => {
    connect(1000);
    const done = connections.letGo();
    expect(gone.length).toBeLessThan(20);
    await vi.advanceTimersByTimeAsync(1000);
    expect(gone.length).toBeGreaterThan(230);
    expect(gone.length).toBeLessThan(270);
    await vi.advanceTimersByTimeAsync(3020);
    await done;
    expect(gone).not.toEqual(inOrder(gone));
    expect(inOrder(gone)).toEqual(Array.from({ length: 1000 }, (_, i) => i));
  });

  test('are all gone within ten seconds, however many they are', async () => {
    connect(20_000);
    const done = connections.letGo();
    await vi.advanceTimersByTimeAsync(5000);
    expect(gone.length).toBeLessThan(10_300);
    await vi.advanceTimersByTimeAsync(5020);
    await done;
    expect(new Set(gone).size).toBe(20_000);
  });

  test('hold nothing up when they have gone by themselves', async () => {
    const clients = connect(1000);
    const done = connections.letGo();
    await vi.advanceTimersByTimeAsync(100);
    for (const client of clients) connections.delete(client);
    await vi.advanceTimersByTimeAsync(20);
    await done;
    expect(gone.length).toBeLessThan(50);
  });

  test('are let go as soon as they come once everyone is leaving', async () => {
    await connections.letGo();
    connect(1);
    expect(gone).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(gone).toEqual([0]);
  });
});
