import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { cpuTime } from '../../test/support/work.js';
import { createLogger, logLine } from './logger.js';

const JWT = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1c2VyIn0.c2lnbmF0dXJl';

/** What is written when `log` logs. */
function written(log: (logger: ReturnType<typeof createLogger>) => void): string {
  let text = '';
  log(createLogger('trace', { write: (line) => (text += line) }));
  return text;
}

describe('A credential that is logged by mistake', () => {
  test.each(['authorization', 'password', 'token', 'accessToken', 'refreshToken', 'cookie', 'secret'])(
    'is cut out as %s, at the top and below it',
    (name) => {
      const text = written((logger) => {
        logger.info(
          { [name]: 'hunter2', input: { [name]: 'hunter2' }, a: { b: { [name]: 'hunter2' } } },
          'x',
        );
      });
      expect(text).not.toContain('hunter2');
      expect(text.match(/\[redacted\]/g)).toHaveLength(3);
    },
  );

  test('is cut out whole, whatever is in it, and leaves the line JSON', () => {
    const text = written((logger) => {
      logger.info({ Password: 'hun"ter\\2', after: 'stays' }, 'sent {"password": "hunter3"} by "x"');
    });
    expect(text).not.toMatch(/hun"|hun\\|hunter|ter\\/);
    expect(JSON.parse(text)).toMatchObject({ Password: '[redacted]', after: 'stays' });
    expect(JSON.parse(text).msg).toBe('sent {"password": "[redacted]"} by "x"');
  });

  test.each([
    ['a JWT', `it was ${JWT} in the end`, JWT],
    ['a bearer', 'authorization: Bearer abc.def_g-h==', 'abc.def'],
    ['a token in an address', '/graphql?a=1&token=s3cr3t&b=2', 's3cr3t'],
    ['a presigned address', 'https://b.example/k?X-Amz-Date=1&X-Amz-Signature=s3cr3t', 's3cr3t'],
    ['a signature in an address', '/files/1/a.png?expires=9&signature=s3cr3t', 's3cr3t'],
  ])('is cut out of texts and errors: %s', (_what, text, secret) => {
    const lines = written((logger) => {
      logger.warn({ err: new Error(text), list: [text] }, text);
    });
    expect(lines).not.toContain(secret);
    expect(JSON.parse(lines)).toMatchObject({ level: 40 });
  });
});

test('An error of Redis names the command that was refused, and none of its arguments', () => {
  const refused = (): Error =>
    Object.assign(new Error('WRONGPASS'), { command: { name: 'auth', args: ['user', 'hunter2'] } });
  const all = Object.assign(new Error('no node answers', { cause: refused() }), { lastNodeError: refused() });
  for (const err of [refused(), all, new AggregateError([refused()], 'both')]) {
    const text = written((logger) => {
      logger.warn({ err }, 'redis');
    });
    expect(text).toContain('WRONGPASS');
    expect(text).not.toContain('hunter2');
  }
  const text = written((logger) => {
    logger.warn({ err: refused() }, 'redis');
  });
  expect(JSON.parse(text)).toMatchObject({ err: { message: 'WRONGPASS', command: 'auth' } });
});

describe('A long text', () => {
  test.each([
    ['beginnings of JWTs', 'eyJ'],
    ['JWTs that stop half way', 'eyJa.b'],
    ['JWTs without an end', 'eyJ.eyJ'],
    ['bearers', 'Bearer '],
    ['bearers without an end', 'Bearer a='],
    ['fields', '"password":"'],
    ['fields in a text', String.raw`\"password\":`],
    ['backslashes', '\\'],
    ['quotes', '"token":"\\"'],
    ['signatures', '?signature='],
    ['tokens', '&token'],
    ['spaces', ' '],
  ])('of %s is logged at once, and cut', async (_what, unit) => {
    const text = `secret ${unit.repeat(300_000 / unit.length)}`;
    const err = Object.assign(new Error(text), { detail: text, cause: new Error(text) });
    let line = '';
    const log = (): void => {
      line = written((logger) => {
        logger.warn({ path: text, token: text, err }, 'x');
        logLine(logger, 'info', `,"path":${JSON.stringify(text)}`, 'request');
      });
    };
    expect(await cpuTime(log, 1000)).toBeLessThan(1000);
    const [warned = ''] = line.split('\n');
    expect(warned.length).toBeLessThan(60_000);
    expect(JSON.parse(warned)).toMatchObject({ msg: 'x', token: '[redacted]' });
  });

  test('keeps its beginning, and no half of a character', () => {
    const line = written((logger) => {
      logger.info({ path: `/a${'😀'.repeat(5000)}` }, 'x');
    });
    const { path } = JSON.parse(line) as { path: string };
    expect(path.startsWith('/a😀😀')).toBe(true);
    expect(path.endsWith('😀…')).toBe(true);
  });
});

test('A line without credentials is left as it is', () => {
  const text = written((logger) => {
    logger.info({ path: '/graphql', userId: 'u' }, 'request');
  });
  expect(JSON.parse(text)).toMatchObject({ path: '/graphql', userId: 'u', msg: 'request' });
});

test('A line whose fields are JSON already is the one that would have been logged, censored too', () => {
  const fields = { requestId: 'r', path: '/a"?token=s3cr3t', status: 200, ms: 0.5, aborted: false };
  const text = `,${JSON.stringify(fields).slice(1, -1)}`;
  const timeless = (line: string): string => line.replace(/"time":\d+/, '"time":0');
  for (const level of ['info', 'debug'] as const) {
    const line = written((logger) => logLine(logger, level, text, 'request'));
    expect(line).toContain('[redacted]');
    expect(timeless(line)).toBe(timeless(written((logger) => logger[level](fields, 'request'))));
  }
  let lines = '';
  const quiet = createLogger('info', { write: (line) => (lines += line) });
  logLine(quiet, 'debug', text, 'request');
  quiet.level = 'warn';
  logLine(quiet, 'info', text, 'request');
  quiet.level = 'silent';
  logLine(quiet, 'info', text, 'request');
  expect(lines).toBe('');
});

describe('A warning or an error that comes again', () => {
  let lines: Record<string, any>[];
  let logger: ReturnType<typeof createLogger>;
  beforeEach(() => {
    vi.useFakeTimers();
    lines = [];
    logger = createLogger('trace', { write: (line) => lines.push(JSON.parse(line) as never) });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  const refused = (port: number): Error =>
    Object.assign(new Error(`connect ECONNREFUSED 127.0.0.1:${port}`), { code: 'ECONNREFUSED' });
  const fail = (n: number): void => logger.error({ err: refused(n), requestId: `r${n}` }, 'unavailable');

  test('is written at once and whole, and then once a second, with a count and without a stack', async () => {
    for (let n = 0; n < 100; n += 1) fail(n);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatchObject({ level: 50, requestId: 'r0', err: { stack: expect.any(String) } });
    await vi.advanceTimersByTimeAsync(1000);
    expect(lines).toHaveLength(2);
    expect(lines[1]).toMatchObject({
      level: 50,
      msg: 'unavailable',
      repeated: 99,
      err: { type: 'Error', code: 'ECONNREFUSED', message: 'connect ECONNREFUSED 127.0.0.1:99' },
    });
    expect(lines[1]!['err']).not.toHaveProperty('stack');
    expect(lines[1]!['requestId']).toHaveLength(20);
    expect(lines[1]!['requestId'][0]).toBe('r1');

    // One line a second while it goes on, and the stack again after a minute.
    for (let second = 1; second < 61; second += 1) {
      fail(second);
      await vi.advanceTimersByTimeAsync(1000);
    }
    expect(lines).toHaveLength(2 + 60);
    expect(lines.slice(2).filter(({ err }) => 'stack' in err)).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(2000);
    expect(lines).toHaveLength(2 + 60);
    fail(1);
    expect(lines.at(-1)).toMatchObject({ err: { stack: expect.any(String) } });
  });

  test('hides none of another kind, level, place, cause or name', async () => {
    const errors = [
      new Error('a'),
      new Error('b'),
      new TypeError('a'),
      Object.assign(new Error('a'), { code: 'X' }),
      new Error('a', { cause: new Error('c') }),
      new AggregateError([refused(1)], 'a'),
    ];
    const elsewhere = new Error('a');
    for (let round = 0; round < 3; round += 1) {
      for (const err of [...errors, elsewhere]) logger.error({ err }, 'x');
      logger.error({ err: errors[0] }, 'y');
      logger.warn({ err: errors[0] }, 'x');
      logger.error(errors[0]!, 'z');
      for (const kind of ['one', 'two']) logger.warn({ err: errors[0], kind }, 'a job failed');
    }
    expect(lines).toHaveLength(7 + 5);
    await vi.advanceTimersByTimeAsync(1000);
    expect(lines).toHaveLength(2 * (7 + 5));
    expect(lines.slice(12).map(({ repeated }) => repeated as number)).toEqual(Array(12).fill(2));
  });

  test('is written each time where it tells of one request, however alike the lines of that are', () => {
    for (let n = 0; n < 3; n += 1)
      logger.warn({ requestId: 'r', address: '192.0.2.1', code: 'UNAUTHENTICATED' }, 'sign-in failed');
    expect(lines).toHaveLength(3);
  });

  test('is written each time where lines without an error differ, and where nothing is wrong', () => {
    for (const address of ['192.0.2.1', '192.0.2.2'])
      for (const requestId of ['a', 'b']) logger.warn({ requestId, address }, 'sign-in failed');
    for (let n = 0; n < 5; n += 1) logger.info({ err: refused(n) }, 'x');
    logger.warn({ found: { a: 1 } }, 'x');
    logger.warn({ found: { a: 1 } }, 'x');
    logger.fatal({ err: refused(1) }, 'broken');
    logger.fatal({ err: refused(1) }, 'broken');
    expect(lines).toHaveLength(4 + 5 + 2 + 2);
    for (let n = 0; n < 5; n += 1) logger.warn({ reason: 'gone' }, 'a connection failed');
    logger.warn('text alone');
    logger.warn('text alone');
    expect(lines).toHaveLength(4 + 5 + 2 + 2 + 1 + 1);
  });

  test('is written each time beyond the kinds that are kept in memory', () => {
    for (let round = 0; round < 2; round += 1)
      for (let n = 0; n < 300; n += 1) logger.error({ err: new Error('x'.repeat(n)) }, 'x');
    expect(lines).toHaveLength(300 + 100);
  });
});
