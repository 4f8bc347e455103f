import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import { createServer } from 'node:net';

/** The same for every path to the same directory: made of its device and inode, not of its name. */
export async function kernelGuardName(realDir: string): Promise<string> {
  const { dev, ino } = await stat(realDir, { bigint: true });
  return `parley-${createHash('sha256').update(`${dev}:${ino}`).digest('hex').slice(0, 32)}`;
}

/**
 * Binds an address that only one process can have and that needs no cleaning up: on Linux a unix socket in the abstract
 * namespace, on Windows a named pipe. Nobody talks over it; it does not keep the process alive.
 * Other systems have neither: 'unsupported'.
 */
export async function acquireKernelGuard(name: string): Promise<AsyncDisposable | 'taken' | 'unsupported'> {
  const path = address(name);
  if (path === undefined) return 'unsupported';

  const server = createServer((socket) => socket.destroy());
  // Exclusive: a cluster worker would else share the address with its siblings.
  server.listen({ path, exclusive: true });
  try {
    await once(server, 'listening');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return 'taken';
    throw error;
  }
  // What may fail from here on is accepting a connection, which nobody needs.
  server.on('error', () => undefined);
  server.unref();
  return server;
}

function address(name: string): string | undefined {
  if (process.platform === 'linux') return `\0${name}`;
  if (process.platform === 'win32') return `\\\\.\\pipe\\${name}`;
  return undefined;
}
