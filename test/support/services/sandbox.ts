import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { within } from '../deadline.js';

/** A temporary directory with processes in it. Both are gone when it is disposed of, or when this process ends. */
export interface Sandbox extends AsyncDisposable {
  readonly directory: string;
  start(command: string, args: readonly string[], stopSignal?: NodeJS.Signals): Promise<SandboxProcess>;
  /** The end of what its processes have printed. */
  log(): string;
}

export interface SandboxProcess {
  readonly pid: number;
  /** How it ended, in words. */
  readonly ended: Promise<string>;
  readonly running: boolean;
}

interface User {
  readonly uid: number;
  readonly gid: number;
}

const KEEPER = join(import.meta.dirname, 'keeper.js');

/** With `user`, directory and processes belong to that user. */
export async function openSandbox(user?: User): Promise<Sandbox> {
  const args = [temporaryParent(user), ...(user === undefined ? [] : [String(user.uid), String(user.gid)])];
  // Detached, because Ctrl-C reaches everyone in the terminal's process group and the keeper must outlive us.
  const keeper = fork(KEEPER, args, {
    detached: true,
    execArgv: [],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const gone = once(keeper, 'exit');
  const { directory } = await within(10_000, 'starting the keeper of a temporary directory', hello(keeper));
  // It keeps nobody from ending: every wait for it has a deadline, and that is what keeps us here meanwhile.
  keeper.unref();
  keeper.channel?.unref();

  let processes = 0;
  return {
    directory,
    start: async (command, args, stopSignal = 'SIGTERM') =>
      startIn(keeper, ++processes, { command, args, stopSignal }),
    log: () => readFileSync(join(directory, 'log'), 'utf8').slice(-2_000).trim(),
    [Symbol.asyncDispose]: async () => {
      if (!keeper.connected) return;
      keeper.ref();
      keeper.disconnect();
      await within(15_000, `ending the processes in ${directory}`, gone);
    },
  };
}

async function hello(keeper: ChildProcess): Promise<{ directory: string }> {
  const died = once(keeper, 'exit').then(() => {
    throw new Error('The keeper of a temporary directory ended at once');
  });
  const [message] = (await Promise.race([once(keeper, 'message'), died])) as [{ directory: string }];
  died.catch(() => undefined);
  return message;
}

async function startIn(
  keeper: ChildProcess,
  id: number,
  start: { command: string; args: readonly string[]; stopSignal: NodeJS.Signals },
): Promise<SandboxProcess> {
  const told = (heard: (message: { pid?: number; ended?: string }) => boolean): Promise<void> =>
    new Promise((resolve) => {
      const listen = (message: { id: number; pid?: number; ended?: string }): void => {
        if (message.id !== id || !heard(message)) return;
        keeper.off('message', listen);
        resolve();
      };
      keeper.on('message', listen);
    });

  let pid: number | undefined;
  let end: string | undefined;
  const begun = told((message) => (pid = message.pid) !== undefined || message.ended !== undefined);
  const ended = told((message) => (end = message.ended) !== undefined);
  keeper.send({ id, ...start });
  await within(10_000, `starting ${start.command}`, begun);
  if (pid === undefined) throw new Error(`${start.command} does not start: ${end ?? ''}`);
  return {
    pid,
    ended: ended.then(() => end ?? ''),
    get running() {
      return end === undefined;
    },
  };
}

/** The user that services run as when we are root: Postgres refuses root. */
export function unprivilegedUser(): User | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const accounts = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  const account =
    accounts.find(([name]) => name === 'postgres') ?? accounts.find(([name]) => name === 'nobody');
  if (account === undefined) throw new Error('There is no user postgres or nobody for Postgres to run as');
  return { uid: Number(account[2]), gid: Number(account[3]) };
}

/** The system's folder for temporary files, unless another user could not get there. */
function temporaryParent(user: User | undefined): string {
  const usual = tmpdir();
  if (user === undefined) return usual;
  for (let folder = usual; folder !== dirname(folder); folder = dirname(folder)) {
    if ((statSync(folder).mode & 0o001) === 0) return '/tmp';
  }
  return usual;
}
