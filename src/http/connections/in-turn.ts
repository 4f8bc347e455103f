import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** Requests that may wait on one connection before no more is read from it; those that came with them wait too. */
const MOST = 8;

type Listener = (req: IncomingMessage, res: ServerResponse) => void;

/** Requests that wait, by connection: only those that send more than one at a time are in here. */
const waiting = new WeakMap<Socket, number>();

/** Whether a request waits on this connection. */
export const hasWaiting = (socket: Socket): boolean => (waiting.get(socket) ?? 0) > 0;

/**
 * Requests that a client sends without awaiting the answers (pipelining) are answered one after the other: the next one begins when the answer
 * before it was taken, in another turn of the event loop. So one connection never has more than one answer in memory.
 */
export const inTurn =
  (listener: Listener): Listener =>
  (req, res) => {
    // Node gives the connection to the answer whose turn it is.
    if (res.socket !== null) {
      listener(req, res);
      return;
    }
    const { socket } = req;
    const count = (waiting.get(socket) ?? 0) + 1;
    waiting.set(socket, count);
    if (count > MOST) socket.pause();
    res.once('socket', () => {
      setImmediate(() => {
        const left = (waiting.get(socket) ?? 1) - 1;
        waiting.set(socket, left);
        if (left === MOST) socket.resume();
        if (!socket.destroyed) listener(req, res);
      });
    });
  };
