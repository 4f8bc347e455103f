import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../../test/support/deadline.js';
import { SlowReader } from '../../test/support/slow-reader.js';
import { patience, ReaderWatch } from './reader-watch.js';
import { handleOf, unacknowledgedOf } from './unacknowledged.js';

/** More than the system takes for one connection. */
const LARGE = Buffer.alloc(12_000_000);

describe('The watch on a reader', () => {
  let server: Server;
  const watches: ReaderWatch[] = [];
  const clients: { destroy: () => void }[] = [];

  beforeAll(async () => {
    patience.lookMs = 100;
    server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  afterEach(() => {
    for (const watch of watches.splice(0)) watch.stop();
    for (const client of clients.splice(0)) client.destroy();
  });
  afterAll(() => server.close());

  const port = (): number => (server.address() as AddressInfo).port;

  async function open(bytesPerSecond: number): Promise<{ connection: Socket; client: SlowReader }> {
    const accepted = once(server, 'connection');
    const client = new SlowReader(`http://127.0.0.1:${port()}`, 'x', bytesPerSecond);
    const [connection] = (await accepted) as [Socket];
    connection.on('error', () => undefined);
    clients.push(client);
    return { connection, client };
  }

  /** The longest stall that was told of the connection so far, in milliseconds. */
  function watch(connection: Socket): { longest: number; waiting: boolean | undefined } {
    const told = { longest: 0, waiting: undefined as boolean | undefined };
    watches.push(
      new ReaderWatch(connection, {
        readerStalled: (ms, waiting) => {
          told.longest = Math.max(told.longest, ms);
          told.waiting = waiting;
        },
      }),
    );
    return told;
  }

  test('knows what Node has handed on and the peer has not acknowledged', async () => {
    const { connection } = await open(0);
    connection.write(LARGE);
    const handle = handleOf(connection)!;
    expect(handle.bytesWritten).toBe(LARGE.length);
    const waiting = await eventually(5000, 'the system to be full', () => handle.writeQueueSize);
    expect(waiting).toBeLessThan(LARGE.length);
    const other = await open(0);
    const unacknowledged = (await unacknowledgedOf([connection])).get(connection)!;
    // The rest is in the buffer of the peer's system.
    expect(unacknowledged).toBeGreaterThan(0);
    expect(unacknowledged + waiting).toBeLessThanOrEqual(LARGE.length);
    const both = await unacknowledgedOf([connection, other.connection]);
    expect([both.get(connection), both.get(other.connection)]).toEqual([unacknowledged, 0]);
    connection.destroy();
    expect(handleOf(connection)).toBeUndefined();
    expect([...(await unacknowledgedOf([connection]))]).toEqual([]);
  });

  test('finds a connection over IPv6 as well', async () => {
    const six = createServer().listen(0, '::1');
    await once(six, 'listening');
    const accepted = once(six, 'connection');
    const client = connect((six.address() as AddressInfo).port, '::1').pause();
    clients.push(client);
    const [connection] = (await accepted) as [Socket];
    connection.on('error', () => undefined);
    connection.write(LARGE);
    await eventually(
      5000,
      'the queue',
      async () => ((await unacknowledgedOf([connection])).get(connection) ?? 0) > 0,
    );
    connection.destroy();
    six.close();
  });

  test('tells of one that takes nothing, and not of one that takes little, while neither moves Node’s queue', async () => {
    const [still, slow] = [await open(0), await open(300_000)];
    for (const { connection } of [still, slow]) connection.write(LARGE);
    const [toldOfStill, toldOfSlow] = [watch(still.connection), watch(slow.connection)];
    await eventually(10_000, 'a long stall', () => toldOfStill.longest > 2500);
    expect(toldOfStill.waiting).toBe(true);
    expect(toldOfSlow.longest).toBeLessThan(1500);
    // Not one byte of it has left Node's queue since the system was full.
    expect(slow.connection.writableLength).toBe(LARGE.length);
  });

  test('tells of one that takes so little that it would never come to an end', async () => {
    const { connection } = await open(500);
    connection.write(LARGE);
    const told = watch(connection);
    await eventually(10_000, 'a long stall', () => told.longest > 2000);
    expect(told.waiting).toBe(true);
  });

  test('does not take what is written into the buffer of the system for something that was read', async () => {
    const { connection } = await open(0);
    connection.write(LARGE.subarray(0, 1_000_000));
    const told = watch(connection);
    // As pings are.
    const writing = setInterval(() => connection.write('ping'), 50);
    await eventually(10_000, 'a long stall', () => told.longest > 1500);
    clearInterval(writing);
    expect(told.waiting).toBe(true);
  });

  test('says that nothing waits where everything was acknowledged', async () => {
    const { connection } = await open(0);
    connection.write('all of it');
    const told = watch(connection);
    await eventually(10_000, 'a look', () => told.waiting !== undefined && told.longest > 300);
    expect(told.waiting).toBe(false);
  });
});
