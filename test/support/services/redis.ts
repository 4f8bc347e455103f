import { eventually, within } from '../deadline.js';
import { findBinary } from './binaries.js';
import { askLine, onFreePort } from './ports.js';
import { openSandbox, type Sandbox, type SandboxProcess } from './sandbox.js';

/** A Redis of one's own, to kill, to hang and to start again. What it held is gone when it stops. */
export interface RedisServer extends AsyncDisposable {
  /** The same for as long as it lives, also after a restart. */
  readonly url: string;
  readonly port: number;
  /** At once, as by `kill -9`: connections break, nothing is said. */
  kill(): Promise<void>;
  /** Again on the same port, after `kill`. */
  start(): Promise<void>;
  /** Connections stay and nothing answers, until `resume`. */
  pause(): void;
  resume(): void;
}

/** Starts a Redis on a free port. Throws when there is no redis-server: ask `isMissing(services.redisServer)` first. */
export async function startRedis(): Promise<RedisServer> {
  const command = findBinary('redis-server');
  if (command === undefined) throw new Error('redis-server is not on this machine');
  const sandbox = await openSandbox();
  try {
    let [port, server] = await onFreePort((candidate) => launch(sandbox, command, candidate));
    return {
      port,
      url: `redis://127.0.0.1:${port}`,
      kill: async () => {
        process.kill(server.pid, 'SIGKILL');
        await within(10_000, 'the end of Redis', server.ended);
      },
      start: async () => {
        if (server.running) throw new Error('This Redis runs already');
        server = await launch(sandbox, command, port);
      },
      pause: () => process.kill(server.pid, 'SIGSTOP'),
      resume: () => process.kill(server.pid, 'SIGCONT'),
      [Symbol.asyncDispose]: () => sandbox[Symbol.asyncDispose](),
    };
  } catch (error) {
    await sandbox[Symbol.asyncDispose]();
    throw error;
  }
}

async function launch(sandbox: Sandbox, command: string, port: number): Promise<SandboxProcess> {
  const server = await sandbox.start(
    command,
    [
      '--bind',
      '127.0.0.1',
      '--port',
      String(port),
      '--save',
      '',
      '--appendonly',
      'no',
      '--dir',
      sandbox.directory,
    ],
    // There is nothing to save.
    'SIGKILL',
  );
  const ready = eventually(10_000, `Redis on port ${port} answers`, async () => {
    if (!server.running) return 'ended' as const;
    return (await askLine(port, 'PING')) === '+PONG' && 'ready';
  });
  // One that ends has not bound the port, though another's Redis may answer there.
  if ((await ready) === 'ended' || !server.running) throw new Error(`Redis did not start:\n${sandbox.log()}`);
  return server;
}
