import { resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ConfigError, readConfig } from './env.js';
import { schema } from './variables.js';

const refusal = (env: Record<string, string>): string => {
  try {
    readConfig(env);
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  return 'none';
};

const SECRET = 'a secret that is long enough, as it should be';

const CLUSTERED = {
  DATABASE_URL: 'postgres://db/parley',
  JWT_SECRET: SECRET,
  REDIS_CLUSTER_NODES: 'node-1:7000, node-2,[::1]:7002',
};

describe('The configuration', () => {
  test('needs nothing for a first run', () => {
    expect(readConfig({})).toMatchObject({
      port: 4000,
      host: '127.0.0.1',
      dataDir: resolve('data'),
      databaseUrl: undefined,
      redisUrl: undefined,
      redisCluster: undefined,
      jwtSecret: undefined,
      identityProvider: undefined,
      uploads: { maxBytes: 5 * 1024 ** 3 },
      logLevel: 'info',
      publicUrl: undefined,
      corsOrigins: [],
      trustProxy: [],
      workers: 1,
      drainDelayMs: 5000,
      sockets: { limit: 20_000, compression: false },
    });
  });

  test('takes an empty value for none', () => {
    const empty = Object.fromEntries(Object.keys(schema.shape).map((name) => [name, '']));
    expect(readConfig(empty)).toEqual(readConfig({}));
  });

  test('is read from its variables', () => {
    expect(
      readConfig({
        PORT: '0',
        HOST: '::1',
        DATA_DIR: '/var/lib/parley',
        DATABASE_URL: 'postgresql://user:pw@db:5432/parley',
        DATABASE_POOL_SIZE: '25',
        DATABASE_TIMEOUT: '20s',
        REDIS_URL: 'rediss://cache:6380',
        JWT_SECRET: SECRET,
        JWT_JWKS_URL: 'https://identity.example.com/keys',
        JWT_ISSUER: 'https://identity.example.com',
        JWT_AUDIENCE: 'parley',
        UPLOAD_MAX_BYTES: '1000',
        UPLOAD_ALLOWED_TYPES: ' image/* , application/pdf,',
        LOG_LEVEL: 'debug',
        PUBLIC_URL: 'https://chat.example.com/base///',
        CORS_ORIGINS: 'https://app.example.com, http://localhost:3000',
        TRUST_PROXY: 'loopback, 10.0.0.0/8',
        WORKERS: '4',
        DRAIN_DELAY: '30s',
        SOCKET_LIMIT: '500',
        SOCKET_COMPRESSION: 'true',
        PERSISTED_ONLY: 'true',
        PERSISTED_DOCUMENTS: '/etc/parley/documents.json',
        S3_BUCKET: 'files',
        S3_ENDPOINT: 'https://s3.example.com',
        S3_REGION: 'eu-central-1',
        S3_PREFIX: 'parley/',
        S3_FORCE_PATH_STYLE: 'true',
        S3_DOWNLOADS: 'redirect',
      }),
    ).toMatchObject({
      port: 0,
      host: '::1',
      dataDir: '/var/lib/parley',
      databaseUrl: 'postgresql://user:pw@db:5432/parley',
      databasePoolSize: 25,
      databaseTimeoutMs: 20_000,
      redisUrl: 'rediss://cache:6380',
      jwtSecret: SECRET,
      identityProvider: {
        jwksUrl: 'https://identity.example.com/keys',
        issuer: 'https://identity.example.com',
        audience: 'parley',
      },
      uploads: { maxBytes: 1000, allowedTypes: ['image/*', 'application/pdf'] },
      logLevel: 'debug',
      publicUrl: 'https://chat.example.com/base',
      corsOrigins: ['https://app.example.com', 'http://localhost:3000'],
      trustProxy: ['loopback', '10.0.0.0/8'],
      workers: 4,
      drainDelayMs: 30_000,
      sockets: { limit: 500, compression: true },
      persistedDocuments: { only: true, file: '/etc/parley/documents.json' },
      s3: {
        bucket: 'files',
        endpoint: 'https://s3.example.com',
        region: 'eu-central-1',
        prefix: 'parley/',
        pathStyle: true,
        redirects: true,
      },
    });
  });

  test.each([
    ['https://app.example.com/', 'https://app.example.com'],
    ['HTTPS://App.Example.COM', 'https://app.example.com'],
    ['https://app.example.com:443', 'https://app.example.com'],
    ['http://app.example.com:80/', 'http://app.example.com'],
    ['https://app.example.com:8443', 'https://app.example.com:8443'],
    ['https://bücher.example', 'https://xn--bcher-kva.example'],
    ['http://[::1]:3000', 'http://[::1]:3000'],
    ['https://*.example.com', 'https://*.example.com'],
    ['https://*.Example.com:8443/', 'https://*.example.com:8443'],
    ['capacitor://localhost', 'capacitor://localhost'],
    ['ionic://localhost/', 'ionic://localhost'],
    ['tauri://localhost', 'tauri://localhost'],
    ['http://tauri.localhost', 'http://tauri.localhost'],
    [
      'chrome-extension://abcdefghijklmnopabcdefghijklmnop',
      'chrome-extension://abcdefghijklmnopabcdefghijklmnop',
    ],
    ['safari-web-extension://E5B8F6C2-0000', 'safari-web-extension://e5b8f6c2-0000'],
    ['*', '*'],
  ])('takes the origin %s as browsers write it', (given, origin) => {
    expect(readConfig({ CORS_ORIGINS: given }).corsOrigins).toEqual([origin]);
  });

  test('limits what is done in a minute, unless that is switched off', () => {
    expect(readConfig({}).rates.operations).toEqual({ perPerson: 12_000, perAddress: 120_000 });
    const off = {
      OPERATION_LIMIT: 'off',
      POST_LIMIT: 'off',
      ROOM_LIMIT: 'off',
      JOIN_LIMIT: '5/7',
      UPLOAD_LIMIT: 'off',
    };
    const { rates } = readConfig(off);
    expect(rates).toEqual({
      operations: undefined,
      posts: undefined,
      rooms: undefined,
      joins: { perPerson: 5, perAddress: 7 },
      uploads: undefined,
    });
  });

  test('takes the nodes of a Redis Cluster, with what opens all of them', () => {
    expect(readConfig(CLUSTERED)).toMatchObject({
      redisUrl: undefined,
      redisCluster: {
        nodes: [
          { host: 'node-1', port: 7000 },
          { host: 'node-2', port: 6379 },
          { host: '::1', port: 7002 },
        ],
        username: undefined,
        password: undefined,
        tls: false,
      },
    });
    const nodes = ['node-1', 'node-2'].map((host) => `rediss://user:p%40ss@${host}:7000`);
    expect(readConfig({ ...CLUSTERED, REDIS_CLUSTER_NODES: nodes.join(',') }).redisCluster).toMatchObject({
      username: 'user',
      password: 'p@ss',
      tls: true,
    });
  });

  test('takes a bucket by its name alone, and a server that is not Amazon’s without a region', () => {
    const bucket = { bucket: 'files', prefix: '', pathStyle: false, redirects: false };
    const amazon = { ...bucket, endpoint: undefined, region: undefined };
    expect(readConfig({ S3_BUCKET: 'files' }).s3).toEqual(amazon);
    const other = { S3_BUCKET: 'files', S3_ENDPOINT: 'http://minio:9000' };
    expect(readConfig(other).s3).toEqual({ ...bucket, endpoint: 'http://minio:9000', region: 'us-east-1' });
  });

  test('takes a scanner by its address, and no files beyond what that looks through', () => {
    const found = (env: Record<string, string>) => {
      const { scanner, uploads } = readConfig(env);
      return [scanner?.at, scanner?.timeoutMs, uploads.maxBytes];
    };
    const most = 25 * 1024 ** 2;
    expect(found({ CLAMAV_URL: 'tcp://clamd' })).toEqual([{ host: 'clamd', port: 3310 }, 150_000, most]);
    expect(found({ CLAMAV_URL: 'tcp://[::1]:99' })).toEqual([{ host: '::1', port: 99 }, 150_000, most]);
    expect(
      found({ CLAMAV_URL: 'unix:///run/clamd.ctl', CLAMAV_MAX_BYTES: '9', CLAMAV_TIMEOUT: '3s' }),
    ).toEqual([{ path: '/run/clamd.ctl' }, 3000, 9]);
    expect(found({ CLAMAV_URL: 'tcp://clamd', UPLOAD_MAX_BYTES: '7' })[2]).toBe(7);
  });

  test.each([
    ['PORT', 'many'],
    ['PORT', '-1'],
    ['PORT', '65536'],
    ['PORT', '1e3'],
    ['PORT', ' 80'],
    ['DATABASE_POOL_SIZE', '1'],
    ['DATABASE_TIMEOUT', '0s'],
    ['UPLOAD_MAX_BYTES', '0'],
    ['UPLOAD_MAX_BYTES', '9007199254740992'],
    ['UPLOAD_MAX_BYTES', '5GB'],
    ['UPLOAD_ALLOWED_TYPES', 'image'],
    ['UPLOAD_ALLOWED_TYPES', ','],
    ['UPLOAD_ALLOWED_TYPES', 'image/*, *'],
    ['UPLOADS_AT_ONCE', '0'],
    ['QUOTA_USER_BYTES', '-1'],
    ['QUOTA_ROOM_BYTES', '1G'],
    ['CLAMAV_URL', 'clamd:3310'],
    ['CLAMAV_URL', 'http://clamd:3310'],
    ['CLAMAV_URL', 'tcp://clamd:3310/path'],
    ['CLAMAV_URL', 'tcp://'],
    ['CLAMAV_URL', 'unix://run/clamd.ctl'],
    ['CLAMAV_URL', 'unix:///'],
    ['CLAMAV_MAX_BYTES', '25M'],
    ['CLAMAV_MAX_BYTES', '2147483648'],
    ['CLAMAV_TIMEOUT', '0s'],
    ['CLAMAV_TIMEOUT', '2m'],
    ['SIGN_IN_LIMIT_PER_ACCOUNT', '0'],
    ['SIGN_IN_LIMIT_PER_ADDRESS', 'x'],
    ['SIGN_UP_LIMIT_PER_ADDRESS', '1.5'],
    ['LOG_LEVEL', 'loud'],
    ['PUBLIC_URL', 'chat.example.com'],
    ['PUBLIC_URL', 'ftp://chat.example.com'],
    ['CORS_ORIGINS', 'app.example.com'],
    ['CORS_ORIGINS', 'https://app.example.com/path'],
    ['CORS_ORIGINS', 'https://app.example.com?a'],
    ['CORS_ORIGINS', 'https://user@app.example.com'],
    ['CORS_ORIGINS', 'https://app.*.com'],
    ['CORS_ORIGINS', 'https://*example.com'],
    ['CORS_ORIGINS', 'https://*'],
    ['CORS_ORIGINS', 'https://*.'],
    ['CORS_ORIGINS', 'https://*.10.0.0.1'],
    ['CORS_ORIGINS', 'http://localhost:*'],
    ['CORS_ORIGINS', 'https://parley.1'],
    ['CORS_ORIGINS', 'https://a b'],
    ['CORS_ORIGINS', 'file://'],
    ['CORS_ORIGINS', 'null'],
    ['CORS_ORIGINS', 'https://app.example.com, app'],
    ['JWT_JWKS_URL', 'keys'],
    ['TRUST_PROXY', 'everyone'],
    ['WORKERS', '0'],
    ['WORKERS', 'auto'],
    ['DRAIN_DELAY', '5'],
    ['DRAIN_DELAY', '1m'],
    ['SOCKET_LIMIT', '0'],
    ['SOCKET_COMPRESSION', 'yes'],
    ['PERSISTED_ONLY', '1'],
    ['S3_ENDPOINT', 'minio:9000'],
    ['S3_PREFIX', 'a b'],
    ['S3_FORCE_PATH_STYLE', 'on'],
    ['S3_DOWNLOADS', 'direct'],
  ])('refuses %s=%j in one line with what it got and what it takes', (name, value) => {
    const message = refusal({ [name]: value });
    expect(message.startsWith(`${name}: got ${JSON.stringify(value)}; it takes `)).toBe(true);
    expect(message.split('it takes ')[1]?.length).toBeGreaterThan(5);
    expect(message).not.toMatch(/\n|undefined|Invalid/);
  });

  test.each([
    ['JWT_SECRET', 'too short to be safe'],
    ['DATABASE_URL', 'mysql://user:pw@db/parley'],
    ['DATABASE_URL', 'db'],
    ['REDIS_URL', 'http://user:pw@cache'],
    ['REDIS_CLUSTER_NODES', ' ,, '],
    ['REDIS_CLUSTER_NODES', 'node-1:port'],
    ['REDIS_CLUSTER_NODES', 'http://user:pw@node-1:6379'],
    ['REDIS_CLUSTER_NODES', 'redis://user:pw@node-1:6379/3'],
    ['REDIS_CLUSTER_NODES', 'redis://user:pw@node-1:6379,redis://user:pw2@node-2:6379'],
    ['REDIS_CLUSTER_NODES', 'rediss://node-1:6379,redis://node-2:6379'],
  ])('refuses a wrong %s without showing it', (name, value) => {
    const message = refusal({ [name]: value });
    expect(message.startsWith(`${name}: got `)).toBe(true);
    expect(message).not.toContain(value);
    expect(message).not.toContain('pw');
  });

  test.each([
    [{ DATABASE_URL: 'postgres://db/parley' }, 'JWT_SECRET'],
    [{ REDIS_URL: 'redis://cache' }, 'REDIS_URL'],
    [{ REDIS_CLUSTER_NODES: 'node-1:6379' }, 'REDIS_CLUSTER_NODES'],
    [{ ...CLUSTERED, REDIS_URL: 'redis://cache' }, 'REDIS_CLUSTER_NODES'],
    [{ WORKERS: '2' }, 'WORKERS'],
    [{ WORKERS: '2', DATABASE_URL: 'postgres://db/parley', JWT_SECRET: SECRET }, 'WORKERS'],
    [{ JWT_JWKS_URL: 'https://identity.example.com/keys' }, 'JWT_ISSUER'],
    [{ JWT_JWKS_URL: 'https://identity.example.com/keys', JWT_ISSUER: 'x' }, 'JWT_AUDIENCE'],
    [{ JWT_ISSUER: 'x', JWT_AUDIENCE: 'x' }, 'JWT_JWKS_URL'],
    [{ S3_ENDPOINT: 'https://s3.example.com' }, 'S3_ENDPOINT'],
    [{ S3_DOWNLOADS: 'redirect' }, 'S3_DOWNLOADS'],
    [{ CLAMAV_MAX_BYTES: '1000' }, 'CLAMAV_MAX_BYTES'],
  ])('refuses %j, which is a contradiction, and names %s', (env, name) => {
    expect(refusal(env)).toMatch(new RegExp(`^${name}: got [^\\n]+$`));
  });
});
