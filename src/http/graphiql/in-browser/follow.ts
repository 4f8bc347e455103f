import type { Params, Result, ResultError, Socket } from './browser.js';

/**
 * One subscription by the graphql-transport-ws protocol. It has a socket of its own, and so the token of its time.
 * GraphiQL shows the last result only; here each result brings the earlier ones with it, newest first.
 */
export function follow(
  socket: Socket,
  params: Params,
  authorization: string | undefined,
  onRefused: () => void,
): AsyncIterableIterator<Result> {
  const mostShown = 50;
  /** Only the newest: it holds those that GraphiQL had no time to show. */
  let unread: Result | undefined;
  const shown: Result[] = [];
  let done = false;
  let wake = (): void => undefined;

  function show(result: Result): void {
    const earlier = shown.slice(0, mostShown);
    unread = earlier.length === 0 ? result : { ...result, earlier };
    shown.unshift(result);
    shown.length = Math.min(shown.length, mostShown);
    wake();
  }
  function end(): void {
    done = true;
    socket.close(1000, 'Done');
    wake();
  }

  socket.onopen = () => {
    const payload = authorization === undefined ? {} : { authorization };
    socket.send(JSON.stringify({ type: 'connection_init', payload }));
  };
  socket.onmessage = ({ data }) => {
    if (done) return;
    const message = JSON.parse(data) as { type: string; payload?: unknown };
    if (message.type === 'connection_ack')
      socket.send(JSON.stringify({ type: 'subscribe', id: '1', payload: params }));
    if (message.type === 'ping') socket.send(JSON.stringify({ type: 'pong' }));
    if (message.type === 'next') show(message.payload as Result);
    if (message.type === 'error') show({ errors: message.payload as ResultError[] });
    if (message.type === 'error' || message.type === 'complete') end();
  };
  socket.onclose = ({ code, reason }) => {
    if (done) return;
    const why = `The socket was closed: ${[code, reason].filter(Boolean).join(' ')}.`;
    const hint = code === 4403 ? ' Run it again, or sign in anew.' : '';
    show({ errors: [{ message: why + hint, extensions: { closeCode: code } }] });
    end();
    if (code === 4403) onRefused();
  };

  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    async next() {
      while (unread === undefined && !done) await new Promise<void>((resolve) => (wake = resolve));
      const value = unread;
      unread = undefined;
      return value === undefined ? { done: true, value: undefined } : { done: false, value };
    },
    return() {
      unread = undefined;
      end();
      return Promise.resolve({ done: true, value: undefined });
    },
  };
}
