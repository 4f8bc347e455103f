import { exec } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseEnv, promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { readConfig } from '../../src/config/env.js';
import { schema } from '../../src/config/variables.js';

/** What the file uses of https://github.com/compose-spec/compose-spec, and nothing else. */
interface Service {
  readonly image?: string;
  readonly build?: string;
  readonly env_file?: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly depends_on?: Readonly<Record<string, { condition: string; restart?: boolean }>>;
  readonly volumes?: readonly string[];
  readonly healthcheck?: { test: readonly string[] };
  readonly cap_drop?: readonly string[];
  readonly cap_add?: readonly string[];
  readonly security_opt?: readonly string[];
  readonly read_only?: boolean;
  readonly tmpfs?: readonly string[];
  readonly pids_limit?: number;
  readonly mem_limit?: string;
}

const ROOT = join(import.meta.dirname, '../..');
const read = (name: string): Promise<string> => readFile(join(ROOT, name), 'utf8');

const text = await read('docker-compose.yml');
const compose = parse(text, { merge: true, strict: true }) as {
  readonly services: Readonly<Record<string, Service>>;
  readonly volumes: Readonly<Record<string, null>>;
};
const services = Object.entries(compose.services);
const apps = services.filter(([, { build }]) => build !== undefined);
const example = await read('.env.example');
const dockerfile = await read('Dockerfile');

/** What the image sets for whatever runs in it. */
const imageEnvironment = parseEnv(
  (/^ENV ((?:.*\\\n)*.*)$/m.exec(dockerfile.split(/^FROM .*$/m).at(-1) ?? '')?.[1] ?? '').replaceAll(
    '\\',
    '',
  ),
);

/** Puts values in the place of `${NAME}`, `${NAME:-default}` and `${NAME:?message}`. */
const filledIn = (value: string, values: Readonly<Record<string, string>>): string =>
  value.replaceAll(/\$\{(\w+)(?::([-?])([^}]*))?\}/g, (_, name: string, kind?: string, other = '') => {
    const given = values[name] ?? '';
    if (given !== '') return given;
    if (kind === '-') return other as string;
    throw new Error(`${name} is not set`);
  });

describe('docker-compose.yml', () => {
  test('gives the processes variables that the server knows, with values that it takes', () => {
    expect(apps.map(([name]) => name)).toEqual(['app-1', 'app-2']);
    for (const [, { environment = {} }] of apps) {
      expect(Object.keys(schema.shape)).toEqual(expect.arrayContaining(Object.keys(environment)));
      const values = { JWT_SECRET: 'x'.repeat(32), POSTGRES_PASSWORD: 'letters' };
      const config = readConfig(
        Object.fromEntries(
          Object.entries(environment).map(([name, value]) => [name, filledIn(value, values)]),
        ),
      );
      expect(config.databaseUrl).toBe('postgres://parley:letters@postgres:5432/parley');
      expect(config.redisUrl).toBe('redis://redis:6379');
    }
  });

  test('gives the processes every variable of .env, but for those that the other services and the image fix', () => {
    const file = {
      JWT_SECRET: 'x'.repeat(32),
      POSTGRES_PASSWORD: 'letters',
      QUOTA_USER_BYTES: '5',
      EVENT_RETENTION: '12h',
      S3_BUCKET: 'files',
      WORKERS: '3',
      SIGN_UP_LIMIT_PER_ADDRESS: '7',
      UPLOAD_MAX_BYTES: '9',
      CORS_ORIGINS: 'https://app.example.com',
      // What fits a server outside of Compose, and would break one in it.
      HOST: '127.0.0.1',
      PORT: '5000',
      DATA_DIR: './data',
      METRICS_HOST: '127.0.0.1',
      METRICS_PORT: '9000',
      DATABASE_URL: 'postgres://localhost/another',
      REDIS_URL: 'redis://localhost',
      TRUST_PROXY: 'loopback',
    };
    for (const [, { env_file: envFile, environment = {} }] of apps) {
      expect(envFile).toBe('.env');
      const config = readConfig({
        ...imageEnvironment,
        ...file,
        ...Object.fromEntries(
          Object.entries(environment).map(([name, value]) => [name, filledIn(value, file)]),
        ),
      });
      expect(config).toMatchObject({
        quotas: { userBytes: 5 },
        eventRetentionMs: 12 * 3_600_000,
        s3: { bucket: 'files' },
        workers: 3,
        rateLimits: { signUpsPerAddress: 7 },
        uploads: { maxBytes: 9 },
        corsOrigins: ['https://app.example.com'],
        host: '0.0.0.0',
        port: 4000,
        dataDir: '/data',
        metrics: { host: '0.0.0.0', port: 9464 },
        databaseUrl: 'postgres://parley:letters@postgres:5432/parley',
        redisUrl: 'redis://redis:6379',
        trustProxy: ['uniquelocal'],
      });
      // An env_file goes before what the image sets.
      for (const [name, value] of Object.entries(imageEnvironment))
        if (name in schema.shape) expect(environment[name]).toBe(value);
    }
  });

  test('takes its variables from .env.example, and starts with none that has to be set and is not', () => {
    const used = new Set([...text.matchAll(/\$\{(\w+)/g)].map(([, name]) => name));
    const told = [...example.matchAll(/^(\w+)=(.*)$/gm)].map(([, name]) => name);
    expect(new Set(told)).toEqual(used);
    expect(() => filledIn(apps[0]![1].environment!['JWT_SECRET']!, {})).toThrow('JWT_SECRET');
  });

  test('waits only for what says whether it is healthy, and names only what is there', () => {
    for (const [, { depends_on: needs = {}, volumes = [], image, build }] of services) {
      expect(image ?? build).toBeTypeOf('string');
      for (const [name, { condition }] of Object.entries(needs)) {
        expect(condition).toBe('service_healthy');
        const needed = compose.services[name];
        expect(needed?.healthcheck !== undefined || /^HEALTHCHECK/m.test(dockerfile)).toBe(true);
      }
      for (const volume of volumes) {
        const [source = ''] = volume.split(':');
        expect(source.startsWith('.') ? existsSync(join(ROOT, source)) : source in compose.volumes).toBe(
          true,
        );
      }
    }
  });

  test('gives no service more than it needs', () => {
    for (const [name, service] of services) {
      expect([name, service.cap_drop]).toEqual([name, ['ALL']]);
      expect([name, service.security_opt]).toEqual([name, ['no-new-privileges:true']]);
      expect([name, service.pids_limit]).toEqual([name, expect.any(Number)]);
      expect([name, service.mem_limit]).toEqual([name, expect.stringMatching(/^\$\{\w+:-\d+[mg]\}$/)]);
      // The scanner writes where it likes.
      if (name !== 'clamav') expect([name, service.read_only]).toEqual([name, true]);
    }
    // What previews are made in.
    for (const [, { tmpfs, cap_add: added }] of apps) expect([tmpfs, added]).toEqual([['/tmp'], undefined]);
  });

  test('has nginx in front of all processes, where they listen, and anew when one of them is', async () => {
    const port = /^ +PORT=(\d+)/m.exec(dockerfile)?.[1];
    const conf = await read('deploy/nginx.conf');
    const upstreams = [...conf.matchAll(/^ +server (\S+:\d+)/gm)].map(([, address]) => address);
    expect(upstreams).toEqual(apps.map(([name]) => `${name}:${port}`));
    const { nginx } = compose.services;
    expect(nginx?.volumes).toContain('./deploy/nginx.conf:/etc/nginx/nginx.conf:ro');
    // It looks their addresses up once, when it starts.
    for (const [name] of apps) expect(nginx?.depends_on?.[name]?.restart).toBe(true);
  });
});

describe('The Dockerfile', () => {
  test('runs on a Node that the package allows and its makers still support', () => {
    const versions = [...dockerfile.matchAll(/^FROM node:(\d+)/gm)].map(([, version]) => Number(version));
    expect(versions).toEqual([24, 24]);
  });

  test('builds the server from what it copies', async () => {
    const [build = '', image = ''] = dockerfile.split(/^FROM .*$/m).slice(1);
    const folder = await mkdtemp(join(tmpdir(), 'parley-image-'));
    try {
      for (const [, paths = ''] of build.matchAll(/^COPY (.+)$/gm)) {
        const names = paths.split(' ');
        const target = names.pop()!;
        for (const name of names) {
          await cp(join(ROOT, name), join(folder, target, target === name ? '' : name), { recursive: true });
        }
      }
      await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
      const script = /^RUN (npm run \S+)/m.exec(build)?.[1] ?? '';
      await promisify(exec)(script, { cwd: folder, timeout: 60_000 });
      for (const [, path = ''] of image.matchAll(/^COPY --from=build \/app\/(\S+)/gm))
        expect(existsSync(join(folder, path))).toBe(true);
      const command = JSON.parse(/^CMD (\[.*\])$/m.exec(image)?.[1] ?? '') as string[];
      expect(existsSync(join(folder, command.at(-1)!))).toBe(true);
      const { scripts } = JSON.parse(await read('package.json')) as { scripts: Record<string, string> };
      // There is no shell to be replaced.
      expect(`exec ${command.join(' ')}`).toBe(scripts['start']);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }, 60_000);
});
