import { expect, test } from 'vitest';
import { StartError } from '../errors.js';
import { explain } from './explain.js';

const system = (code: string, message: string): Error => Object.assign(new Error(message), { code });

test.each<[unknown, string]>([
  [new StartError('PORT: got "x"'), 'PORT: got "x"'],
  [
    system('EACCES', "EACCES: permission denied, mkdir '/x'"),
    "EACCES: permission denied, mkdir '/x': this user may not do that",
  ],
  [
    system('EACCES', 'listen EACCES: permission denied 0.0.0.0:80'),
    'listen EACCES: permission denied 0.0.0.0:80: this user may not do that',
  ],
  [
    system('ENOSPC', 'ENOSPC: no space left on device, write'),
    'ENOSPC: no space left on device, write: the disk is full',
  ],
  [
    system('DEPTH_ZERO_SELF_SIGNED_CERT', 'self-signed certificate'),
    'cannot reach what it needs: self-signed certificate',
  ],
  [new Error('it cannot:\n\n  be done'), 'it cannot: be done'],
  [
    new Error('migrating failed', { cause: system('42501', 'permission denied for schema public') }),
    'migrating failed: permission denied for schema public',
  ],
  [
    new AggregateError([
      new Error('connect ECONNREFUSED ::1:1'),
      new Error('connect ECONNREFUSED 127.0.0.1:1'),
    ]),
    'cannot reach what it needs: connect ECONNREFUSED ::1:1, connect ECONNREFUSED 127.0.0.1:1',
  ],
  ['a text', 'a text'],
])('a failure is explained in one line: %s', (error, line) => {
  expect(explain(error)).toBe(line);
});

test('a defect is one line too, and says where it is', () => {
  const line = explain(new TypeError('x is not a function'));
  expect(line).toMatch(/^TypeError: x is not a function \(at .*explain\.test\.ts:\d+:\d+\)?\)$/);
  expect(line).not.toContain('\n');
});
