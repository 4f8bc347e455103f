import { connect } from 'node:net';
import { lookup } from 'node:dns/promises';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { describe, expect, test } from 'vitest';
import { ParleyError } from '../errors.js';
import { isOutage, mayPass, throughOutage } from './outage.js';

const withCode = (code: string, more: object = {}): Error =>
  Object.assign(new Error('failed'), { code, ...more });

describe('An outage', () => {
  test('is what cannot be reached through a socket, over TCP, or by its name', async () => {
    const refused = (place: { path: string } | { port: number; host: string }): Promise<unknown> =>
      new Promise((resolve) => connect(place).once('error', resolve));
    expect(isOutage(await refused({ path: join(tmpdir(), 'nobody-listens-here') }))).toBe(true);
    expect(isOutage(await refused({ port: 9, host: '127.0.0.1' }))).toBe(true);
    expect(isOutage(await lookup('nowhere.invalid').catch((error: unknown) => error))).toBe(true);
    const client = new pg.Client({ host: join(tmpdir(), 'nowhere'), database: 'none' });
    expect(isOutage(await client.connect().catch((error: unknown) => error))).toBe(true);
  });

  test.each([
    'ECONNREFUSED',
    'ECONNRESET',
    'ECONNABORTED',
    'EPIPE',
    'ETIMEDOUT',
    'EAI_AGAIN',
    'EAI_FAIL',
    'ENOTFOUND',
    'ENETUNREACH',
    'ENETDOWN',
    'EHOSTDOWN',
    'EHOSTUNREACH',
    'EPROTO',
    'EMFILE',
    'ENFILE',
    'ERR_TLS_CERT_ALTNAME_INVALID',
    'ERR_SSL_WRONG_VERSION_NUMBER',
    'CERT_HAS_EXPIRED',
    'DEPTH_ZERO_SELF_SIGNED_CERT',
    'SELF_SIGNED_CERT_IN_CHAIN',
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    '08006',
    '53300',
    '57P01',
    '57P03',
    '58030',
    '25006',
    '25P03',
    '55P03',
  ])('is %s', (code) => {
    expect(isOutage(withCode(code))).toBe(true);
    expect(isOutage(new Error('wrapped', { cause: withCode(code) }))).toBe(true);
    expect(isOutage(new AggregateError([withCode(code)]))).toBe(true);
  });

  test.each(['EADDRNOTAVAIL', 'EINVAL', 'EACCES', 'ENOENT'])(
    'is %s in a connect, a read or a write',
    (code) => {
      for (const syscall of ['connect', 'read', 'write'])
        expect(isOutage(withCode(code, { syscall }))).toBe(true);
    },
  );

  test.each([
    'Connection terminated unexpectedly',
    'timeout expired',
    'timeout exceeded when trying to connect',
    'Client was closed and is not queryable',
    'Connection is closed.',
    'Command timed out',
    "Stream isn't writeable and enableOfflineQueue options is false",
    'LOADING Redis is loading the dataset in memory',
    "READONLY You can't write against a read only replica.",
  ])('is "%s"', (message) => {
    expect(isOutage(new Error(message))).toBe(true);
  });

  test('is a connection that Postgres refuses or ends', () => {
    expect(isOutage(withCode('28P01', { severity: 'FATAL' }))).toBe(true);
    expect(isOutage(withCode('XX000', { severity: 'ERROR' }))).toBe(false);
  });

  test('is no defect, no refusal, and no file that is missing', async () => {
    const missing = await open(join(tmpdir(), 'no-such-file')).catch((error: unknown) => error);
    for (const error of [
      missing,
      new TypeError('x is undefined'),
      withCode('23505'),
      withCode('42P01'),
      'text',
    ])
      expect(isOutage(error)).toBe(false);
    const refusal = new ParleyError('UNAVAILABLE', 'no', {}, { cause: withCode('ECONNRESET') });
    expect(isOutage(refusal)).toBe(false);
  });

  test.each(['55P03', '57014'])('that has waited for its time (%s) is not tried again', async (code) => {
    let attempts = 0;
    const tried = throughOutage(() => {
      attempts += 1;
      return Promise.reject(withCode(code));
    });
    await expect(tried).rejects.toMatchObject({ code });
    expect([attempts, mayPass(withCode(code)), isOutage(withCode(code))]).toEqual([1, false, true]);
  });
});
