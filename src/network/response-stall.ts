import type { ServerResponse } from 'node:http';
import { ReaderWatch } from './reader-watch.js';

/**
 * Resets the connection of a response of which the client takes nothing, or which gets nothing to send, for `ms`. However slowly it is
 * taken, it is not cut while it goes on. Ends with the response.
 */
export function limitStall(response: ServerResponse, ms: number): void {
  const { socket } = response;
  const reader = new ReaderWatch(socket, {
    readerStalled: (stalledMs) => {
      if (stalledMs <= ms) return;
      socket?.resetAndDestroy();
      response.destroy();
    },
  });
  response.once('close', () => {
    reader.stop();
  });
}
