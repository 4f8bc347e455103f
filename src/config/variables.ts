import proxyAddr from 'proxy-addr';
import { z } from 'zod';
import { origins } from './origins.js';
import { DAY_MS, duration, flag, httpUrl, list, rate, seconds, url, wholeNumber } from './values.js';

const MIB = 1024 ** 2;
const GIB = 1024 ** 3;
const SCANNER = 'the address of a clamd such as tcp://host:3310 or unix:///run/clamav/clamd.ctl';

const DEFAULT_TYPES =
  'image/jpeg,image/png,image/apng,image/gif,image/webp,image/avif,image/heic,image/heif,image/heic-sequence,' +
  'image/heif-sequence,image/bmp,image/tiff,audio/*,video/*,application/pdf,text/plain,text/csv,text/markdown,' +
  'text/calendar,text/vcard,text/vtt,application/json,application/zip,application/gzip,' +
  'application/x-tar,application/x-7z-compressed,application/rtf,application/epub+zip,' +
  'application/vnd.openxmlformats-officedocument.wordprocessingml.document,' +
  'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet,' +
  'application/vnd.openxmlformats-officedocument.presentationml.presentation,' +
  'application/vnd.oasis.opendocument.text,application/vnd.oasis.opendocument.spreadsheet,' +
  'application/vnd.oasis.opendocument.presentation';

const REDIS = ['redis:', 'rediss:'];

/** No path: a cluster has one database, number 0. */
const isClusterNode = ({ protocol, hostname, pathname, search }: URL): boolean =>
  REDIS.includes(protocol) && hostname !== '' && ['', '/', '/0'].includes(pathname) && search === '';

/** A host and perhaps a port, or the path of a socket. */
const isScanner = ({ protocol, hostname, pathname, username, search }: URL): boolean =>
  username === '' &&
  search === '' &&
  (protocol === 'tcp:'
    ? hostname !== '' && ['', '/'].includes(pathname)
    : hostname === '' && pathname.length > 1);

const accessOf = ({ protocol, username, password }: URL): string =>
  JSON.stringify([protocol, username, password]);

/** Every variable, with its default and what it takes. A test holds the README's table to it. */
export const schema = z.object({
  PORT: wholeNumber(0, 65_535).default(4000),
  HOST: z.string().default('127.0.0.1'),
  DATA_DIR: z.string().default('./data'),
  DATABASE_URL: url(
    ['postgres:', 'postgresql:'],
    'an address such as postgres://user:password@host:5432/name',
  ).optional(),
  DATABASE_POOL_SIZE: wholeNumber(2, 1000).default(10),
  DATABASE_TIMEOUT: seconds.refine((ms) => ms > 0, 'a number of seconds from 1s to 999s').default(10_000),
  DATABASE_STATEMENT_TIMEOUT: seconds.default(10_000),
  REDIS_URL: url(REDIS, 'an address such as redis://host:6379').optional(),
  REDIS_CLUSTER_NODES: list
    .transform((nodes) => nodes.map((node) => (node.includes('://') ? node : `redis://${node}`)))
    .refine(
      (nodes) =>
        nodes.length > 0 && nodes.every((node) => URL.canParse(node) && isClusterNode(new URL(node))),
      {
        error:
          'nodes separated by commas, such as host-1:6379,host-2:6379 or rediss://user:password@host-1:6379',
        abort: true,
      },
    )
    .refine(
      (nodes) => new Set(nodes.map((node) => accessOf(new URL(node)))).size === 1,
      'nodes with one and the same user, password and protocol',
    )
    .optional(),
  JWT_SECRET: z
    .string()
    .refine(
      (text) => text.length >= 32,
      'at least 32 characters, for example the output of `openssl rand -hex 32`',
    )
    .optional(),
  JWT_JWKS_URL: httpUrl("the address of an identity provider's key set").optional(),
  JWT_ISSUER: z.string().optional(),
  JWT_AUDIENCE: z.string().optional(),
  UPLOAD_MAX_BYTES: wholeNumber(1, Number.MAX_SAFE_INTEGER).default(5 * GIB),
  UPLOAD_ALLOWED_TYPES: list
    .refine(
      (types) => types.length > 0 && types.every((type) => /^[a-z]+\/([a-z0-9.+-]+|\*)$/.test(type)),
      'media types separated by commas, such as image/*,application/pdf',
    )
    .default(DEFAULT_TYPES.split(',')),
  UPLOADS_AT_ONCE: wholeNumber(1, 10_000).default(32),
  QUOTA_USER_BYTES: wholeNumber(0, Number.MAX_SAFE_INTEGER).optional(),
  QUOTA_ROOM_BYTES: wholeNumber(0, Number.MAX_SAFE_INTEGER).optional(),
  CLAMAV_URL: url(['tcp:', 'unix:'], SCANNER)
    .refine((text) => !URL.canParse(text) || isScanner(new URL(text)), SCANNER)
    .optional(),
  CLAMAV_MAX_BYTES: wholeNumber(1, 2 * GIB - 1).default(25 * MIB),
  CLAMAV_TIMEOUT: seconds.refine((ms) => ms > 0, 'a number of seconds from 1s to 999s').default(150_000),
  PREVIEWS: flag.default(true),
  IMAGE_MAX_PIXELS: wholeNumber(1, 1_000_000_000).default(100_000_000),
  EVENT_RETENTION: duration.default(30 * DAY_MS),
  SIGN_IN_LIMIT_PER_ACCOUNT: wholeNumber(1, 1_000_000).default(10),
  SIGN_IN_LIMIT_PER_ADDRESS: wholeNumber(1, 1_000_000).default(100),
  SIGN_UP_LIMIT_PER_ADDRESS: wholeNumber(1, 1_000_000).default(100),
  OPERATION_LIMIT: rate.prefault('12000/120000'),
  POST_LIMIT: rate.prefault('6000/60000'),
  ROOM_LIMIT: rate.prefault('300/3000'),
  JOIN_LIMIT: rate.prefault('1200/12000'),
  UPLOAD_LIMIT: rate.prefault('1200/12000'),
  LOG_LEVEL: z
    .enum(
      ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'],
      'fatal, error, warn, info, debug, trace or silent',
    )
    .default('info'),
  METRICS_PORT: wholeNumber(0, 65_535).optional(),
  METRICS_HOST: z.string().default('127.0.0.1'),
  OTEL_EXPORTER_OTLP_ENDPOINT: httpUrl('the address of a collector such as http://localhost:4318')
    .transform((text) => text.replace(/(?<!\/)\/+$/, ''))
    .optional(),
  PUBLIC_URL: httpUrl('an absolute address such as https://chat.example.com')
    .transform((text) => text.replace(/(?<!\/)\/+$/, ''))
    .optional(),
  CORS_ORIGINS: origins.default([]),
  TRUST_PROXY: list
    .refine(isProxyList, 'addresses, networks or names separated by commas, such as loopback or 10.0.0.0/8')
    .default([]),
  WORKERS: wholeNumber(1, 256).default(1),
  DRAIN_DELAY: seconds.default(5000),
  SOCKET_LIMIT: wholeNumber(1, 1_000_000).default(20_000),
  SOCKET_LIMIT_SIGNED_OUT: wholeNumber(0, 1_000_000).optional(),
  SOCKET_LIMIT_PER_ADDRESS: wholeNumber(1, 1_000_000).default(2000),
  SOCKET_COMPRESSION: flag.default(false),
  INTROSPECTION: z.enum(['on', 'signed-in', 'off'], 'on, signed-in or off').default('on'),
  GRAPHIQL: z.enum(['on', 'off'], 'on or off').default('on'),
  PERSISTED_ONLY: flag.default(false),
  PERSISTED_DOCUMENTS: z.string().optional(),
  S3_BUCKET: z.string().optional(),
  S3_ENDPOINT: httpUrl('the address of an S3 server such as https://s3.example.com').optional(),
  S3_REGION: z.string().optional(),
  S3_PREFIX: z
    .string()
    .regex(/^[\w!.*'()/-]*$/, 'a beginning of keys such as parley/')
    .optional(),
  S3_FORCE_PATH_STYLE: flag.default(false),
  S3_DOWNLOADS: z.enum(['proxy', 'redirect'], 'proxy or redirect').default('proxy'),
});

function isProxyList(proxies: string[]): boolean {
  try {
    proxyAddr.compile(proxies);
    return true;
  } catch {
    return false;
  }
}
