import { expect, test, vi } from 'vitest';
import type { Socket } from './browser.js';
import { follow } from './follow.js';

class FakeSocket implements Socket {
  onopen: Socket['onopen'] = null;
  onmessage: Socket['onmessage'] = null;
  onclose: Socket['onclose'] = null;
  readonly sent: unknown[] = [];
  readonly close = vi.fn();
  send(text: string): void {
    this.sent.push(JSON.parse(text));
  }
  receive(message: unknown): void {
    this.onmessage?.({ data: JSON.stringify(message) });
  }
  next(data: unknown): void {
    this.receive({ type: 'next', id: '1', payload: { data } });
  }
}

function start(authorization?: string) {
  const socket = new FakeSocket();
  const refused = vi.fn();
  const results = follow(socket, { query: 'subscription { tick }' }, authorization, refused);
  socket.onopen?.();
  socket.receive({ type: 'connection_ack' });
  return { socket, results, refused };
}

test('the token goes with connection_init, and the operation after the ack', () => {
  const { socket } = start('Bearer t');
  expect(socket.sent).toEqual([
    { type: 'connection_init', payload: { authorization: 'Bearer t' } },
    { type: 'subscribe', id: '1', payload: { query: 'subscription { tick }' } },
  ]);
});

test('each result brings the earlier ones with it, newest first', async () => {
  const { socket, results } = start();
  socket.next({ tick: 1 });
  expect(await results.next()).toEqual({ done: false, value: { data: { tick: 1 } } });
  const later = results.next();
  socket.next({ tick: 2 });
  await later;
  socket.next({ tick: 3 });
  expect((await results.next()).value).toEqual({
    data: { tick: 3 },
    earlier: [{ data: { tick: 2 } }, { data: { tick: 1 } }],
  });
});

test('results that come faster than they are shown are kept as earlier ones, and no more than fifty', async () => {
  const { socket, results } = start();
  for (let tick = 0; tick < 200; tick++) socket.next({ tick });
  const { value } = (await results.next()) as { value: { earlier: unknown[] } };
  expect(value).toMatchObject({ data: { tick: 199 } });
  expect(value.earlier).toHaveLength(50);
  expect(value.earlier[49]).toEqual({ data: { tick: 149 } });
});

test('stopping ends a wait for the next result, and closes the socket', async () => {
  const { socket, results } = start();
  const waiting = results.next();
  await results.return?.();
  expect(await waiting).toEqual({ done: true, value: undefined });
  expect(socket.close).toHaveBeenCalledOnce();
  socket.next({ tick: 1 });
  expect(await results.next()).toEqual({ done: true, value: undefined });
});

test('an error of the server is the last result', async () => {
  const { socket, results } = start();
  socket.receive({ type: 'error', id: '1', payload: [{ message: 'no' }] });
  expect((await results.next()).value).toEqual({ errors: [{ message: 'no' }] });
  expect((await results.next()).done).toBe(true);
});

test('complete ends the results', async () => {
  const { socket, results } = start();
  socket.receive({ type: 'complete', id: '1' });
  expect((await results.next()).done).toBe(true);
});

test('a ping is answered', () => {
  const { socket } = start();
  socket.receive({ type: 'ping' });
  expect(socket.sent.at(-1)).toEqual({ type: 'pong' });
});

test('a socket that the server closes is told with its code, below it what had arrived', async () => {
  const { socket, results, refused } = start();
  socket.next({ tick: 1 });
  socket.onclose?.({ code: 1012, reason: 'Service Restart' });
  expect((await results.next()).value).toEqual({
    errors: [{ message: 'The socket was closed: 1012 Service Restart.', extensions: { closeCode: 1012 } }],
    earlier: [{ data: { tick: 1 } }],
  });
  expect(refused).not.toHaveBeenCalled();
});

test('4403 says that the token was refused', async () => {
  const { socket, results, refused } = start();
  socket.onclose?.({ code: 4403, reason: 'Forbidden' });
  expect(refused).toHaveBeenCalledOnce();
  expect((await results.next()).value).toMatchObject({ errors: [{ extensions: { closeCode: 4403 } }] });
});
