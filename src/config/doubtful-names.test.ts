import { expect, test } from 'vitest';
import { doubtfulNames } from './doubtful-names.js';

test.each([
  ['DATABASE_URI', 'DATABASE_URL'],
  ['DATABSE_URL', 'DATABASE_URL'],
  ['DATABASEURL', 'DATABASE_URL'],
  ['database_url', 'DATABASE_URL'],
  ['\uFEFFDATABASE_URL', 'DATABASE_URL'],
  ['PORT\u00a0', 'PORT'],
  ['REDIS_UR', 'REDIS_URL'],
  ['JWT_SERCET', 'JWT_SECRET'],
  ['JWT-SECRET', 'JWT_SECRET'],
  ['WORKER', 'WORKERS'],
  ['CORS_ORIGIN', 'CORS_ORIGINS'],
  ['LOGLEVEL', 'LOG_LEVEL'],
  ['EVENT_RETENTON', 'EVENT_RETENTION'],
  ['UPLOAD_MAX_BYTE', 'UPLOAD_MAX_BYTES'],
  ['S3_BUKET', 'S3_BUCKET'],
  ['PARLEY_PORT_NUMBER', undefined],
  ['UPLOAD_FOLDER', undefined],
  ['DATABASE_HOST_NAME', undefined],
])('%j looks like one of ours', (name, meant) => {
  expect([...doubtfulNames({ [name]: 'x' })]).toEqual([[name, meant]]);
});

test('the environment of a shell, of Compose, of Kubernetes and of other programs does not', () => {
  const names =
    'PATH HOME USER SHELL TERM LANG LC_ALL PWD OLDPWD HOSTNAME LOGNAME MAIL EDITOR TZ TMPDIR DISPLAY XDG_DATA_DIRS NODE_ENV NODE_OPTIONS ' +
    'NODE_VERSION npm_config_host npm_lifecycle_event INIT_CWD AWS_ACCESS_KEY_ID AWS_REGION OTEL_SERVICE_NAME OTEL_EXPORTER_OTLP_HEADERS PGHOST PGPORT ' +
    'POSTGRES_PASSWORD PUBLIC_PORT COMPOSE_PROJECT_NAME HTTP_PROXY https_proxy SSH_AUTH_SOCK KUBERNETES_PORT KUBERNETES_SERVICE_HOST REDIS_PORT ' +
    'REDIS_PORT_6379_TCP REDIS_PORT_6379_TCP_ADDR REDIS_SERVICE_HOST REDIS_SERVICE_PORT CLAMAV_SERVICE_PORT_CLAMD PARLEY_SERVICE_HOST PARLEY_PORT HOSTTYPE MANPATH';
  expect([...doubtfulNames(Object.fromEntries(names.split(' ').map((name) => [name, 'x']))).keys()]).toEqual(
    [],
  );
});

test('names that are ours are not doubted, nor empty ones', () => {
  expect(doubtfulNames({ PORT: '1', DATABASE_URL: 'x', S3_BUKET: '' }).size).toBe(0);
});
