import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { backends, environmentOf, makePlace, type Place } from '../support/app.js';
import { Command } from '../support/command.js';
import { eventually, within } from '../support/deadline.js';
import { get } from '../support/get.js';
import { bucketEnvironment } from '../support/object-store.js';
import { createDatabase, isMissing, services } from '../support/services.js';
import { isRunning } from '../support/system.js';
import { sql } from '../support/uploads.js';

const backend = backends.includes('postgres') ? 'postgres' : 'embedded';
let place: Place;

beforeAll(async () => {
  place = await makePlace(backend);
});
afterAll(() => place[Symbol.asyncDispose]());

const environment = (more: Record<string, string> = {}): Record<string, string> =>
  environmentOf(place, { LOG_LEVEL: 'info', ...more });

function launch(more: Record<string, string> = {}): Command {
  const command = new Command('main', [], { cwd: place.dataDir, env: environment(more) });
  onTestFinished(() => command[Symbol.asyncDispose]());
  return command;
}

/** The lines of a log with this message. */
const linesOf = (log: string, msg: string): Record<string, unknown>[] =>
  log
    .split('\n')
    .filter((line) => line.includes(`"msg":"${msg}"`))
    .map((line) => JSON.parse(line) as Record<string, unknown>);

describe('A program', () => {
  test('says when it starts what it is and where the data is, and when it has stopped that it has', async () => {
    const command = launch();
    await command.ready();
    command.signal('SIGTERM');
    expect(await command.end()).toBe(0);
    const [starting, ...more] = linesOf(command.stderr, 'starting');
    expect(more).toEqual([]);
    expect(starting).toMatchObject({
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
      node: process.version,
      processes: 1,
      database: expect.stringMatching(/^(embedded in |postgres:\/\/127\.0\.0\.1:\d+\/)/),
      files: join(place.dataDir, 'files'),
    });
    expect(JSON.stringify(starting)).not.toMatch(/parley@|password/);
    expect(command.stderr.trimEnd().split('\n').at(-1)).toContain('"msg":"stopped"');
  });

  test('of one process stops when its terminal is closed', async () => {
    const command = launch({ DRAIN_DELAY: '900s' });
    await command.ready();
    command.signal('SIGHUP');
    expect(await command.end()).toBe(0);
    expect(linesOf(command.stderr, 'stopped')).toHaveLength(1);
  });

  test('takes the same signal within a second for one, and a later one, or another, for haste', async () => {
    for (const [second, ms] of [
      ['SIGTERM', 1200],
      ['SIGINT', 0],
    ] as const) {
      const command = launch({ DRAIN_DELAY: '900s' });
      const url = await command.ready();
      command.signal('SIGTERM');
      await eventually(5000, 'it is stopping', async () => (await get(`${url}/readyz`)).status === 503);
      if (ms > 0) {
        command.signal('SIGTERM');
        command.signal('SIGTERM');
        await pause(ms);
        expect(isRunning(command.pid)).toBe(true);
      }
      command.signal(second);
      expect(await command.end(10_000)).toBe(1);
    }
  });

  test('takes DRAIN_DELAY=0', async () => {
    const command = launch({ DRAIN_DELAY: '0' });
    await command.ready();
    command.signal('SIGTERM');
    expect(await command.end()).toBe(0);
  });
});

describe('npm start', () => {
  /** As it is called from a shell or by a supervisor, with a process group of its own. */
  async function npmStart(): Promise<{ npm: ChildProcess; url: string; server: number; log: () => string }> {
    const npm = spawn('npm', ['start', '--silent'], {
      cwd: join(import.meta.dirname, '../..'),
      env: { PATH: process.env['PATH'], HOME: place.dataDir, ...environment() },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    onTestFinished(() => {
      try {
        process.kill(-npm.pid!, 'SIGKILL');
      } catch {
        // All of it has ended.
      }
    });
    let [stdout, stderr] = ['', ''];
    npm.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    npm.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    const url = await eventually(
      25_000,
      'the ready line',
      () => /^parley listening on (\S+)$/m.exec(stdout)?.[1],
    );
    const server = Number(linesOf(stderr, 'starting')[0]?.['pid']);
    return { npm, url, server, log: () => stderr };
  }

  test.each([
    ['SIGTERM that npm is sent', 'SIGTERM', 1],
    ['SIGINT that the whole group is sent, which npm passes on as well', 'SIGINT', -1],
    ['SIGTERM that the whole group is sent', 'SIGTERM', -1],
  ] as const)('leaves nothing behind, and is drained once, by %s', async (_what, signal, group) => {
    const { npm, url, server, log } = await npmStart();
    const ended = once(npm, 'close');
    process.kill(group * npm.pid!, signal);
    await within(20_000, 'its end', ended);
    await eventually(5000, 'nobody listens', () =>
      fetch(`${url}/livez`).then(
        () => false,
        () => true,
      ),
    );
    expect(isRunning(server)).toBe(false);
    expect(linesOf(log(), 'stopping')).toHaveLength(1);
    expect(linesOf(log(), 'stopped')).toHaveLength(1);
  });
});

describe('A start that fails says why in one line:', () => {
  let home: string;
  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), 'parley-test-'));
    await writeFile(join(home, 'file'), '');
    await mkdir(join(home, 'data'));
  });
  afterAll(() => rm(home, { recursive: true, force: true }));

  async function failing(
    script: 'main' | 'migrate' | 'files-tool',
    args: string[],
    env: Record<string, string>,
  ): Promise<string> {
    await using command = new Command(script, args, {
      cwd: home,
      env: { PORT: '0', LOG_LEVEL: 'silent', ...env },
    });
    expect(await command.end(25_000)).toBe(1);
    expect(command.stdout).toBe('');
    expect(command.stderr).toMatch(/^parley: [^\n]+\n$/);
    expect(command.stderr).not.toMatch(/topsecret|node:internal|dist\/src/);
    return command.stderr;
  }

  test.each([
    ['in /proc', '/proc/parley', 'ENOENT'],
    ['in a folder of /proc', '/proc/self', 'ENOENT'],
    ['in a missing folder of /proc', '/proc/a/b/c', 'ENOENT'],
    ['that is a file', 'file', 'EEXIST'],
    ['below a file', 'file/data', 'ENOTDIR'],
  ])('a DATA_DIR %s', async (_what, dataDir, code) => {
    expect(await failing('main', [], { DATA_DIR: dataDir })).toContain(code);
    expect(await failing('files-tool', ['check'], { DATA_DIR: dataDir })).toContain(code);
    expect(await failing('migrate', ['up'], { DATA_DIR: dataDir })).toContain(code);
  });

  describe.skipIf(backend === 'embedded')('on Postgres', () => {
    const withUrl = (change: (url: URL) => void): Record<string, string> => {
      const url = new URL(place.env['DATABASE_URL']!);
      change(url);
      return { ...place.env, DATA_DIR: join(home, 'data'), DATABASE_URL: url.href };
    };

    test.each([
      ['no TLS there', (url: URL) => url.searchParams.set('sslmode', 'require'), 'SSL'],
      [
        'a root certificate that is missing',
        (url: URL) => {
          url.searchParams.set('sslmode', 'verify-full');
          url.searchParams.set('sslrootcert', '/nowhere/root.crt');
        },
        '/nowhere/root.crt',
      ],
      ['no such database', (url: URL): unknown => (url.pathname = '/nowhere'), '"nowhere"'],
      ['nobody listens', (url: URL): unknown => (url.port = '9'), 'ECONNREFUSED'],
      [
        'a name that nothing has',
        (url: URL): unknown => (url.hostname = 'nowhere.invalid'),
        'nowhere.invalid',
      ],
      [
        'a socket that is not there',
        (url: URL) => {
          url.hostname = '';
          url.port = '';
          url.searchParams.set('host', '/nowhere');
        },
        '/nowhere',
      ],
    ] as const)('%s', async (_what, change, said) => {
      const env = withUrl((url) => void change(url));
      expect(await failing('main', [], env)).toContain(said);
      expect(await failing('migrate', ['up'], env)).toContain(said);
    });

    test('an address that this machine has not', async () => {
      expect(
        await failing('main', [], {
          ...withUrl(() => undefined),
          DATA_DIR: place.dataDir,
          HOST: '192.0.2.1',
        }),
      ).toMatch(/EADDRNOTAVAIL.*HOST/);
    });

    test.skipIf(isMissing(services.objectStore))('a bucket that is not there', async () => {
      const env = { ...withUrl(() => undefined), ...bucketEnvironment(), S3_BUCKET: 'nobodys' };
      expect(await failing('files-tool', ['check'], env)).toContain('nobodys');
      expect(await failing('files-tool', ['copy', '--from', 's3', '--to', 'disk'], env)).toContain('nobodys');
    });

    test('a bucket that does not answer', async () => {
      const env = {
        ...withUrl(() => undefined),
        S3_BUCKET: 'files',
        S3_ENDPOINT: 'http://127.0.0.1:9',
        AWS_ACCESS_KEY_ID: 'someone',
        AWS_SECRET_ACCESS_KEY: 'topsecret',
      };
      expect(await failing('files-tool', ['check'], env)).toContain('127.0.0.1:9');
    });

    test('a database of a newer version', async () => {
      const database = await createDatabase();
      onTestFinished(() => database[Symbol.asyncDispose]());
      const env = withUrl((url) => (url.pathname = `/${database.name}`));
      await using migrated = new Command('migrate', ['up'], { cwd: home, env });
      expect(await migrated.end()).toBe(0);
      await sql({ ...place, env }, `insert into kysely_migration values ('9999_holograms', now()::text)`);
      for (const [script, args] of [
        ['main', []],
        ['migrate', ['up']],
        ['migrate', ['status']],
        ['files-tool', ['check']],
      ] as const)
        expect(await failing(script, [...args], env)).toMatch(/newer version of Parley.*9999_holograms/);
    });
  });
});
