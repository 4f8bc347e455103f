import { execFile } from 'node:child_process';
import { readdir, readFile, readlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { eventually } from '../deadline.js';
import { findBinary } from './binaries.js';
import { askLine, onFreePort } from './ports.js';
import { openSandbox, type Sandbox, type SandboxProcess } from './sandbox.js';

const run = promisify(execFile);

export const SBIN = ['/usr/sbin', '/usr/local/sbin'];
const CONF = join(import.meta.dirname, '../../../deploy/nginx.conf');

/** nginx by `deploy/nginx.conf`, in front of servers of a test. */
export interface Nginx extends AsyncDisposable {
  readonly url: string;
  /** What `nginx -t` says of the configuration. */
  readonly verdict: string;
  accessLog(): Promise<string>;
  /** Bytes that its processes have had in memory at most, taken together. */
  memoryPeak(): Promise<number>;
  /** Files that hold what it would not keep in memory: those in its folders for them, and those that are open and have no name any more. */
  temporaryFiles(): Promise<string[]>;
}

/** Starts it in front of two servers, host:port each. Throws when it cannot: ask `isMissing(services.nginx)` first. */
export async function startNginx(upstreams: readonly [string, string]): Promise<Nginx> {
  const command = findBinary('nginx', SBIN);
  if (command === undefined) throw new Error('nginx is not on this machine');
  const sandbox = await openSandbox();
  try {
    const [port, { server, verdict }] = await onFreePort((candidate) =>
      launch(sandbox, command, candidate, upstreams),
    );
    const folders = await temporaryFolders(command);
    return {
      url: `http://127.0.0.1:${port}`,
      verdict,
      accessLog: () => readFile(join(sandbox.directory, 'access.log'), 'utf8'),
      memoryPeak: async () => {
        const peaks = (await family(server.pid)).map(async (pid) => {
          const status = await readFile(`/proc/${pid}/status`, 'utf8');
          return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
        });
        return (await Promise.all(peaks)).reduce((total, peak) => total + peak, 0);
      },
      temporaryFiles: async () => {
        const open = (await family(server.pid)).map(async (pid) => {
          const descriptors = await readdir(`/proc/${pid}/fd`);
          const links = await Promise.all(
            descriptors.map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')),
          );
          return links.filter((link) => folders.some((folder) => link.startsWith(folder)));
        });
        const named = folders.map(async (folder) => {
          const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
          return entries.filter((entry) => entry.isFile()).map(({ name }) => join(folder, name));
        });
        return (await Promise.all([...open, ...named])).flat();
      },
      [Symbol.asyncDispose]: () => sandbox[Symbol.asyncDispose](),
    };
  } catch (error) {
    await sandbox[Symbol.asyncDispose]();
    throw error;
  }
}

async function launch(
  sandbox: Sandbox,
  command: string,
  port: number,
  [first, second]: readonly [string, string],
): Promise<{ server: SandboxProcess; verdict: string }> {
  // The very file but for where things are. A line that is not there any more fails the test.
  const places: Readonly<Record<string, string>> = {
    'error_log /dev/stderr emerg;': `error_log ${join(sandbox.directory, 'error.log')} emerg;`,
    'pid /tmp/nginx.pid;': `pid ${join(sandbox.directory, 'nginx.pid')};`,
    '  access_log /dev/stdout main;': `  access_log ${join(sandbox.directory, 'access.log')} main;`,
    '    server app-1:4000 max_fails=3 fail_timeout=5s;': `    server ${first} max_fails=3 fail_timeout=5s;`,
    '    server app-2:4000 max_fails=3 fail_timeout=5s;': `    server ${second} max_fails=3 fail_timeout=5s;`,
    '    listen 80;': `    listen 127.0.0.1:${port};`,
  };
  const lines = (await readFile(CONF, 'utf8')).split('\n');
  for (const [line, other] of Object.entries(places)) {
    const at = lines.indexOf(line);
    if (at === -1 || lines.lastIndexOf(line) !== at) throw new Error(`not one line of nginx.conf: ${line}`);
    lines[at] = other;
  }
  const conf = join(sandbox.directory, 'nginx.conf');
  await writeFile(conf, lines.join('\n'));
  const args = ['-c', conf, '-p', sandbox.directory];
  const { stderr: verdict } = await run(command, ['-t', ...args], { timeout: 10_000 });
  const server = await sandbox.start(command, [...args, '-g', 'daemon off;'], 'SIGTERM');
  const ready = eventually(10_000, `nginx on port ${port} answers`, async () => {
    if (!server.running) return 'ended' as const;
    return (await askLine(port, 'GET /metrics HTTP/1.0\r\n')).startsWith('HTTP/1.1 404') && 'ready';
  });
  if ((await ready) === 'ended' || !server.running) throw new Error(`nginx did not start:\n${sandbox.log()}`);
  return { server, verdict };
}

/** The master and its workers. */
async function family(master: number): Promise<number[]> {
  const children = await readFile(`/proc/${master}/task/${master}/children`, 'utf8');
  return [master, ...children.trim().split(' ').map(Number)];
}

/** Where this build puts the bodies of requests and of answers. */
async function temporaryFolders(command: string): Promise<string[]> {
  const { stderr } = await run(command, ['-V'], { timeout: 10_000 });
  return [...stderr.matchAll(/--http-(?:client-body|proxy)-temp-path=(\S+)/g)].map(
    ([, folder = '']) => folder,
  );
}
