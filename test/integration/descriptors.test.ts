import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { backends, makePlace } from '../support/app.js';
import { signUp } from '../support/client.js';
import { eventually } from '../support/deadline.js';
import { ServerProcess } from '../support/process.js';
import { PNG } from '../support/uploads.js';

const src = (file: string): string => JSON.stringify(new URL(`../../src/${file}`, import.meta.url).href);

/** Opens a database, then every file descriptor that is left, and writes; closes them again, and writes on. */
const starving = (dataDir: string): string => `
  const { openEmbeddedPostgres } = await import(${src('db/embedded/pglite.ts')});
  const { default: pg } = await import('pg');
  const fs = await import('node:fs');
  const db = await openEmbeddedPostgres(${JSON.stringify(dataDir)});
  const pool = new pg.Pool(db.poolConfig);
  const attempt = (sql) => pool.query(sql).then(() => 'ok', (error) => error.code + ' ' + error.message);
  await pool.query('create table filled (id int, body text)');
  const open = [];
  const take = () => {
    try {
      for (;;) open.push(fs.openSync('/dev/null'));
    } catch {
      // None is left.
    }
  };
  const starved = [];
  for (let i = 0; i < 4; i += 1) {
    take();
    starved.push(await attempt(\`create table made_\${i} (id int primary key, body text)\`));
    take();
    starved.push(await attempt("insert into filled select n, repeat('x', 3000) from generate_series(1, 200) n"));
  }
  for (const fd of open) fs.closeSync(fd);
  const fed = [];
  for (let i = 0; i < 4; i += 1) {
    fed.push(await attempt(\`create table if not exists made_\${i} (id int primary key, body text)\`));
    fed.push(await attempt(\`insert into made_\${i} values (1, 'x')\`));
    fed.push(await attempt("insert into filled select n, repeat('x', 3000) from generate_series(1, 200) n"));
  }
  await pool.end();
  await db.close();
  console.log(JSON.stringify({ starved, fed }));`;

describe('An embedded database that finds no file descriptor', () => {
  test(
    'does without, or fails as an outage, and goes on once there are some',
    { timeout: 120_000 },
    async () => {
      await using place = await makePlace('embedded');
      const node = [
        process.execPath,
        '--import',
        'tsx',
        '--input-type=module',
        '-e',
        starving(place.dataDir),
      ];
      const shell = ['-c', 'ulimit -n 600; exec "$@"', 'bash', ...node];
      const { stdout } = await promisify(execFile)('bash', shell, { timeout: 100_000 });
      const { starved, fed } = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Record<string, string[]>;
      // Class 53 of Postgres's errors: no resources.
      expect(starved?.filter((outcome) => outcome !== 'ok' && !outcome.startsWith('53'))).toEqual([]);
      expect(new Set(fed)).toEqual(new Set(['ok']));
    },
  );
});

describe.each(backends)('A server that may open 1,024 files, on %s,', (backend) => {
  test('serves on beside 1,100 idle connections, and when they are gone', { timeout: 180_000 }, async () => {
    await using place = await makePlace(backend);
    await using server = await ServerProcess.start(place, { LOG_LEVEL: 'warn' }, 1024);
    const warning = /SOCKET_LIMIT is 20000, but the file descriptors of this process allow \d+ WebSockets/;
    await eventually(5000, 'its limits are logged', () => warning.test(server.log));
    const ada = await signUp(server.url);
    const roomId = await ada.createRoom();

    const idle: Socket[] = [];
    for (let i = 0; i < 1100; i += 1) idle.push(await opened(server.url));
    expect(readdirSync(`/proc/${String(server.pid)}/fd`).length).toBeLessThan(900);
    const body = 'x'.repeat(3000);
    for (let i = 0; i < 100; i += 1) await ada.post(roomId, `${String(i)} ${body}`);
    // Each on a connection of its own.
    const others = await Promise.all(Array.from({ length: 30 }, () => signUp(server.url)));
    expect(others).toHaveLength(30);
    const { data, errors } = await ada.upload(roomId, 'x.png', PNG);
    expect(errors).toEqual([]);
    expect((await fetch(data['uploadFile'].file.url)).status).toBe(200);
    expect((await fetch(`${server.url}/readyz`)).status).toBe(200);

    for (const socket of idle) socket.destroy();
    for (let i = 0; i < 20; i += 1) await ada.post(roomId, `after ${String(i)} ${body}`);
    expect((await fetch(`${server.url}/readyz`)).status).toBe(200);
    expect(server.log).not.toContain('"level":50');
  });
});

describe('A server that can open no file', () => {
  test(
    'says so where it is asked whether it is ready, refuses as unavailable, and recovers',
    { timeout: 120_000 },
    async () => {
      await using place = await makePlace(backends.at(-1)!);
      await using server = await ServerProcess.start(place, { LOG_LEVEL: 'silent' });
      const ada = await signUp(server.url);
      const roomId = await ada.createRoom();
      const upload = async (): Promise<string> => {
        const { errors } = await ada.upload(roomId, 'x.png', PNG);
        return errors[0]?.extensions['code'] ?? 'ok';
      };
      const ready = async (): Promise<string> => {
        const answer = await fetch(`${server.url}/readyz`);
        const { status, storage } = (await answer.json()) as { status: string; storage: string };
        return `${String(answer.status)} ${status}, storage ${storage}`;
      };
      expect([await upload(), await ready()]).toEqual(['ok', '200 ok, storage ok']);

      // The standard streams have these: nothing below is free, whatever was closed since the start.
      await promisify(execFile)('prlimit', ['--pid', String(server.pid), '--nofile=3:20000']);
      expect(await upload()).toBe('UNAVAILABLE');
      await eventually(
        10_000,
        'it is degraded',
        async () => (await ready()) === '200 degraded, storage down',
      );
      await promisify(execFile)('prlimit', ['--pid', String(server.pid), '--nofile=20000:20000']);
      await eventually(10_000, 'it is whole', async () => (await ready()) === '200 ok, storage ok');
      expect(await upload()).toBe('ok');
    },
  );
});

const opened = (url: string): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1', () => resolve(socket));
    socket.once('error', reject);
    socket.on('error', () => undefined);
  });
