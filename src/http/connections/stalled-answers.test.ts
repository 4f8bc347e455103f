import { createServer, type Server } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { eventually } from '../../../test/support/deadline.js';
import { counts } from '../../observability/counts.js';
import { Exchange } from '../request-log.js';
import { UnderWay } from '../under-way.js';
import { StalledAnswers } from './stalled-answers.js';

/** More than all buffers of the system hold. */
const ANSWER = Buffer.alloc(24 * 1024 * 1024, 'x');
const STALLED_MS = 600;

describe('A client', () => {
  let server: Server;
  let client: Socket;
  let watch: StalledAnswers;
  let ended: boolean;
  const exchanges = new UnderWay<Exchange>();

  const watchWith = (times: { slowest?: number } = {}): void => {
    watch = new StalledAnswers(exchanges, { stalledMs: STALLED_MS, lookMs: 100, ...times });
  };

  beforeEach(async () => {
    server = createServer((req, res) => {
      const exchange = new Exchange(req, res, 'r');
      exchanges.add(exchange);
      res.on('close', () => exchanges.delete(exchange));
      res.end(ANSWER);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    ended = false;
    counts.cut.http_slow = 0;
    client = connect((server.address() as AddressInfo).port, '127.0.0.1');
    client.on('error', () => undefined);
    client.on('close', () => (ended = true));
    client.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
  });
  afterEach(async () => {
    watch[Symbol.dispose]();
    client.destroy();
    await new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    });
  });

  /** Reads some of what has come, again and again. */
  const readSlowly = (bytes: number, everyMs: number): NodeJS.Timeout => {
    client.pause();
    return setInterval(() => void client.read(Math.min(bytes, client.readableLength)), everyMs);
  };

  test('that reads nothing of its answer is let go, and the memory of it', async () => {
    watchWith();
    client.pause();
    await eventually(20_000, 'it is cut', () => counts.cut.http_slow === 1);
    expect([...exchanges]).toEqual([]);
    client.resume();
    await eventually(5000, 'it is told', () => ended);
  });

  test('that reads slowly and steadily is not', async () => {
    watchWith();
    const reading = readSlowly(64 * 1024, 100);
    await new Promise((resolve) => setTimeout(resolve, 6 * STALLED_MS));
    clearInterval(reading);
    expect([...exchanges]).toHaveLength(1);
    expect(counts.cut.http_slow).toBe(0);
    client.resume();
  });

  test('that reads so slowly that it takes its answer hostage is', async () => {
    watchWith({ slowest: 100 * ANSWER.length });
    const reading = readSlowly(64 * 1024, 100);
    await eventually(20_000, 'it is cut', () => counts.cut.http_slow === 1);
    clearInterval(reading);
  });
});
