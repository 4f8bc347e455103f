import { delimiter, resolve } from 'node:path';
import type { z } from 'zod';
import { StartError } from '../errors.js';
import type { Config } from './config.js';
import { doubtfulNames } from './doubtful-names.js';
import { readEnvFile, type EnvFile } from './env-file.js';
import { schema } from './variables.js';

/** One line for the operator: which variable, what it got, what it takes. */
export class ConfigError extends StartError {
  override readonly name = 'ConfigError';
}

/** Where clamd listens unless it is told otherwise. */
const CLAMD_PORT = 3310;

const SECRETS = new Set(['JWT_SECRET', 'DATABASE_URL', 'REDIS_URL', 'REDIS_CLUSTER_NODES']);

/**
 * Reads and checks the configuration. In: an environment such as `process.env` (empty values count as unset).
 * Throws ConfigError for the first wrong or contradictory value.
 */
export function readConfig(environment: NodeJS.ProcessEnv): Config {
  const given = Object.fromEntries(
    Object.entries(environment).filter(([, value]) => value !== undefined && value !== ''),
  );
  const parsed = schema.safeParse(given);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const name = String(issue?.path[0]);
    const got = SECRETS.has(name)
      ? 'a value that does not fit (not shown, it may be secret)'
      : JSON.stringify(given[name]);
    throw new ConfigError(`${name}: got ${got}; it takes ${issue?.message ?? 'another value'}`);
  }
  const env = parsed.data;
  if (env.DATABASE_URL !== undefined && env.JWT_SECRET === undefined) {
    throw new ConfigError(
      'JWT_SECRET: got nothing; with DATABASE_URL it takes at least 32 characters, the same for every process, for example the output of `openssl rand -hex 32`',
    );
  }
  const redis = (['REDIS_URL', 'REDIS_CLUSTER_NODES'] as const).filter((name) => env[name] !== undefined);
  if (redis.length === 2) {
    throw new ConfigError(
      'REDIS_CLUSTER_NODES: got nodes beside REDIS_URL; set REDIS_URL for one Redis, or REDIS_CLUSTER_NODES for a cluster',
    );
  }
  if (redis[0] !== undefined && env.DATABASE_URL === undefined) {
    throw new ConfigError(
      `${redis[0]}: got an address without DATABASE_URL; the embedded database serves one process, which needs no Redis. Set DATABASE_URL too, or leave ${redis[0]} out`,
    );
  }
  if (env.WORKERS > 1 && (env.DATABASE_URL === undefined || redis.length === 0)) {
    const missing = env.DATABASE_URL === undefined ? 'DATABASE_URL' : 'REDIS_URL';
    throw new ConfigError(
      `WORKERS: got "${String(env.WORKERS)}" without ${missing}; several processes share a Postgres and a Redis. Set DATABASE_URL, and REDIS_URL or REDIS_CLUSTER_NODES, too, or leave WORKERS out`,
    );
  }
  return {
    port: env.PORT,
    host: env.HOST,
    dataDir: resolve(env.DATA_DIR),
    databaseUrl: env.DATABASE_URL,
    databasePoolSize: env.DATABASE_POOL_SIZE,
    statementTimeoutMs: env.DATABASE_STATEMENT_TIMEOUT,
    databaseTimeoutMs: env.DATABASE_TIMEOUT,
    redisUrl: env.REDIS_URL,
    redisCluster: redisCluster(env.REDIS_CLUSTER_NODES),
    jwtSecret: env.JWT_SECRET,
    identityProvider: identityProvider(env),
    uploads: {
      // A scanner says OK of what lies beyond its own limit.
      maxBytes: Math.min(
        env.UPLOAD_MAX_BYTES,
        env.CLAMAV_URL === undefined ? Infinity : env.CLAMAV_MAX_BYTES,
      ),
      allowedTypes: env.UPLOAD_ALLOWED_TYPES,
      atOnce: env.UPLOADS_AT_ONCE,
    },
    quotas: { userBytes: env.QUOTA_USER_BYTES, roomBytes: env.QUOTA_ROOM_BYTES },
    scanner: scanner(env, given),
    previews: {
      on: env.PREVIEWS,
      maxPixels: env.IMAGE_MAX_PIXELS,
      programFolders: (given['PATH'] ?? '').split(delimiter).filter((folder) => folder !== ''),
    },
    s3: s3(env, given),
    eventRetentionMs: env.EVENT_RETENTION,
    rateLimits: {
      signInsPerAccount: env.SIGN_IN_LIMIT_PER_ACCOUNT,
      signInsPerAddress: env.SIGN_IN_LIMIT_PER_ADDRESS,
      signUpsPerAddress: env.SIGN_UP_LIMIT_PER_ADDRESS,
    },
    rates: {
      operations: env.OPERATION_LIMIT,
      posts: env.POST_LIMIT,
      rooms: env.ROOM_LIMIT,
      joins: env.JOIN_LIMIT,
      uploads: env.UPLOAD_LIMIT,
    },
    metrics: { port: env.METRICS_PORT, host: env.METRICS_HOST },
    otlpEndpoint: env.OTEL_EXPORTER_OTLP_ENDPOINT,
    logLevel: env.LOG_LEVEL,
    publicUrl: env.PUBLIC_URL,
    corsOrigins: env.CORS_ORIGINS,
    trustProxy: env.TRUST_PROXY,
    workers: env.WORKERS,
    drainDelayMs: env.DRAIN_DELAY,
    sockets: {
      limit: env.SOCKET_LIMIT,
      signedOut: env.SOCKET_LIMIT_SIGNED_OUT ?? Math.ceil(env.SOCKET_LIMIT / 4),
      perAddress: env.SOCKET_LIMIT_PER_ADDRESS,
      compression: env.SOCKET_COMPRESSION,
    },
    introspection: env.INTROSPECTION,
    graphiql: env.GRAPHIQL === 'on',
    persistedDocuments: {
      only: env.PERSISTED_ONLY,
      file: env.PERSISTED_DOCUMENTS === undefined ? undefined : resolve(env.PERSISTED_DOCUMENTS),
    },
  };
}

function redisCluster(nodes: readonly string[] | undefined): Config['redisCluster'] {
  const urls = nodes?.map((node) => new URL(node));
  const [first] = urls ?? [];
  if (urls === undefined || first === undefined) return undefined;
  return {
    nodes: urls.map(({ hostname, port }) => ({
      host: hostname.replace(/^\[(.*)\]$/, '$1'),
      port: Number(port || 6379),
    })),
    username: decodeURIComponent(first.username) || undefined,
    password: decodeURIComponent(first.password) || undefined,
    tls: first.protocol === 'rediss:',
  };
}

/** Throws ConfigError for a variable that begins so and says nothing without `needed`, which was not given. */
function refuseWithout(needed: string, prefix: string, given: NodeJS.ProcessEnv): void {
  const [name] = Object.keys(given).filter((key) => key.startsWith(prefix) && key in schema.shape);
  if (name !== undefined)
    throw new ConfigError(`${name}: got ${JSON.stringify(given[name])} without ${needed}; they go together`);
}

function scanner(env: z.infer<typeof schema>, given: NodeJS.ProcessEnv): Config['scanner'] {
  if (env.CLAMAV_URL === undefined) {
    refuseWithout('CLAMAV_URL', 'CLAMAV_', given);
    return undefined;
  }
  const { protocol, hostname, port, pathname } = new URL(env.CLAMAV_URL);
  const host = hostname.replace(/^\[(.*)\]$/, '$1');
  return {
    at:
      protocol === 'unix:'
        ? { path: decodeURIComponent(pathname) }
        : { host, port: Number(port || CLAMD_PORT) },
    timeoutMs: env.CLAMAV_TIMEOUT,
  };
}

function s3(env: z.infer<typeof schema>, given: NodeJS.ProcessEnv): Config['s3'] {
  if (env.S3_BUCKET === undefined) {
    refuseWithout('S3_BUCKET', 'S3_', given);
    return undefined;
  }
  return {
    bucket: env.S3_BUCKET,
    endpoint: env.S3_ENDPOINT,
    // Servers other than Amazon's do not care mostly, and the one they take is this.
    region: env.S3_REGION ?? (env.S3_ENDPOINT === undefined ? undefined : 'us-east-1'),
    prefix: env.S3_PREFIX ?? '',
    pathStyle: env.S3_FORCE_PATH_STYLE,
    redirects: env.S3_DOWNLOADS === 'redirect',
  };
}

function identityProvider(env: z.infer<typeof schema>): Config['identityProvider'] {
  const { JWT_JWKS_URL: jwksUrl, JWT_ISSUER: issuer, JWT_AUDIENCE: audience } = env;
  if (jwksUrl === undefined && issuer === undefined && audience === undefined) return undefined;
  if (jwksUrl === undefined || issuer === undefined || audience === undefined) {
    const missing = Object.entries({
      JWT_JWKS_URL: jwksUrl,
      JWT_ISSUER: issuer,
      JWT_AUDIENCE: audience,
    }).find(([, value]) => value === undefined);
    throw new ConfigError(
      `${missing?.[0] ?? ''}: got nothing; JWT_JWKS_URL, JWT_ISSUER and JWT_AUDIENCE go together`,
    );
  }
  return { jwksUrl, issuer, audience };
}

/**
 * The configuration of this process: `.env` in the working directory, which the environment overrides. Calls `doubt` with a line for
 * whatever is ignored there and may be meant for this program. Throws ConfigError.
 */
export function loadConfig(doubt: (line: string) => void = () => undefined): Config {
  let file: EnvFile | undefined;
  try {
    file = readEnvFile('.env');
  } catch (error) {
    throw new ConfigError(`.env: ${(error as Error).message}`);
  }
  // Libraries read it too, such as Amazon's.
  for (const [name, value] of Object.entries(file?.values ?? {})) process.env[name] ??= value;
  const config = readConfig(process.env);
  for (const line of file?.idle ?? [])
    doubt(`.env: line ${String(line)} sets nothing: it takes the form NAME=value`);
  for (const [name, meant] of doubtfulNames(process.env)) {
    const instead = meant === undefined ? 'the README lists all variables' : `${meant} may be meant`;
    doubt(`${JSON.stringify(name)} is no variable of this program, and is ignored: ${instead}`);
  }
  return config;
}
