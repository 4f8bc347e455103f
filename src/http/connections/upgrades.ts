import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';

/** Whether a request asks for a WebSocket; what else a client would rather speak is ignored. */
export const asksForWebSocket = ({ method, headers: { upgrade } }: IncomingMessage): boolean =>
  method === 'GET' && upgrade !== undefined && /^\s*websocket\s*$/i.test(upgrade);

/**
 * Gives a request back to the server as if it had no `Upgrade` header, which HTTP lets a server ignore (RFC 9110, 7.8): Node has stopped to read
 * the connection as HTTP behind its headers. `head` is what came behind them. `answered` resolves when the
 * requests before it on the connection are.
 */
export async function ignoreUpgrade(
  server: Server,
  req: IncomingMessage,
  connection: Duplex,
  head: Buffer,
  answered: Promise<void>,
): Promise<void> {
  const destroy = (): unknown => connection.destroy();
  connection.on('error', destroy);
  await answered;
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

/** Answers a request for a WebSocket that there is none for, and lets go of the connection: no one else watches it any more. */
export function refuseUpgrade(connection: Duplex, status: string): void {
  connection.once('finish', () => connection.destroy());
  connection.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}
