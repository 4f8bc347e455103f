import { expect, test } from 'vitest';
import { isId } from '../db/ids.js';
import { newRequestId } from './request-id.js';

test('Ids of requests are UUIDs of the seventh version, of this moment, and none comes twice', () => {
  const before = Date.now();
  const ids = Array.from({ length: 10_000 }, newRequestId);
  expect(new Set(ids).size).toBe(ids.length);
  for (const id of [ids[0]!, ids[4095]!, ids[4096]!, ids[9999]!]) {
    expect(isId(id)).toBe(true);
    expect(id[14]).toBe('7');
    const ms = parseInt(id.replace('-', '').slice(0, 12), 16);
    expect(ms).toBeGreaterThanOrEqual(before);
    expect(ms).toBeLessThanOrEqual(Date.now());
  }
});
