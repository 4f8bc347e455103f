import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';

/**
 * Starts a server on a free port of the loopback. A port found free may be taken a moment later by somebody else, so
 * `start` is given three chances.
 */
export async function onFreePort<Server>(
  start: (port: number) => Promise<Server>,
): Promise<[number, Server]> {
  for (let attempt = 1; ; attempt++) {
    const port = await freePort();
    try {
      return [port, await start(port)];
    } catch (error) {
      if (attempt === 3) throw error;
    }
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** What a server on the loopback answers first to one line. */
export async function askLine(port: number, line: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  try {
    socket.write(`${line}\r\n`);
    const [answer] = (await once(socket, 'data')) as [Buffer];
    return answer.toString('latin1').trim();
  } finally {
    socket.destroy();
  }
}
