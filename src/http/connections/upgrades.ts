import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';

/** Milliseconds between looks whether requests before this one on its connection are answered. */
const LOOK_MS = 20;

/** Whether a request asks for a WebSocket; what else a client would rather speak is ignored. */
export const asksForWebSocket = ({ method, headers: { upgrade } }: IncomingMessage): boolean =>
  method === 'GET' && upgrade !== undefined && /^\s*websocket\s*$/i.test(upgrade);

/**
 * Gives a request back to the server as if it had no `Upgrade` header, which HTTP lets a server ignore (RFC 9110, 7.8): Node has stopped to read
 * the connection as HTTP behind its headers. `head` is what came behind them. `isBusy`: whether an earlier request on it is not answered yet.
 */
export async function ignoreUpgrade(
  server: Server,
  req: IncomingMessage,
  connection: Duplex,
  head: Buffer,
  isBusy: () => boolean,
): Promise<void> {
  const destroy = (): unknown => connection.destroy();
  connection.on('error', destroy);
  while (isBusy()) await pause(LOOK_MS);
  connection.off('error', destroy);
  if (connection.destroyed) return;
  connection.unshift(Buffer.concat([headersOf(req), head]));
  server.emit('connection', connection);
}

/** The bytes of its first line and headers, without the one that asks. */
function headersOf({ method = '', url = '', httpVersion, rawHeaders }: IncomingMessage): Buffer {
  let text = `${method} ${url} HTTP/${httpVersion}\r\n`;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const [name = '', value = ''] = rawHeaders.slice(i, i + 2);
    if (name.toLowerCase() !== 'upgrade') text += `${name}: ${value}\r\n`;
  }
  return Buffer.from(`${text}\r\n`, 'latin1');
}
