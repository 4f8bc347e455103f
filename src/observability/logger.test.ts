import { describe, expect, test } from 'vitest';
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
