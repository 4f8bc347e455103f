import { expect, test } from 'vitest';
import { letGo } from './let-go.js';

const MIB = 1024 * 1024;

test('frees memory at once, without the garbage collector', () => {
  const before = process.memoryUsage().arrayBuffers;
  for (let i = 0; i < 200; i++) {
    const bytes = Buffer.allocUnsafeSlow(MIB);
    letGo(bytes);
    expect(bytes.length).toBe(0);
  }
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 * MIB);
});

test('leaves a part of larger memory as it is, for somebody may have the rest', () => {
  const whole = Buffer.from('abcdef'.repeat(10_000));
  letGo(whole.subarray(0, 3));
  letGo(whole.subarray(3));
  letGo(Buffer.from('of the pool'));
  expect(whole.toString('latin1', 0, 6)).toBe('abcdef');
  expect(Buffer.from('of the pool').toString()).toBe('of the pool');
});

test('takes bytes that are gone already', () => {
  const bytes = Buffer.allocUnsafeSlow(10);
  letGo(bytes);
  letGo(bytes);
  letGo(new Uint8Array(0));
  expect(bytes.length).toBe(0);
});
