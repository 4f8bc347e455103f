import { describe, expect, it } from 'vitest';
import { cpuTime } from '../../test/support/work.js';
import { chooseRange } from './byte-range.js';

const file = { size: 100, etag: '"abc"', lastModified: 'Thu, 01 Jan 2026 00:00:00 GMT' };
const choose = (range?: string, ifRange?: string) => chooseRange(range, ifRange, file);

describe('the range of a download', () => {
  it.each([
    ['bytes=0-9', 0, 9],
    ['bytes=90-', 90, 99],
    ['bytes=-10', 90, 99],
    ['bytes=95-200', 95, 99],
    ['bytes=-100', 0, 99],
    ['bytes=-101', 0, 99],
    ['bytes=-99999999999999999999', 0, 99],
    ['bytes=90-94, -500', 0, 99],
    ['bytes=0-0', 0, 0],
    ['Bytes = 5-6', 5, 6],
    ['bytes=0-9,10-19', 0, 19],
    ['bytes=5-30,0-10', 0, 30],
  ])('is a part for %s', (range, start, end) => {
    expect(choose(range)).toEqual({ kind: 'part', start, end });
  });

  it.each([
    undefined,
    '',
    'bytes',
    'bytes=',
    'bytes=a-b',
    'bytes=1',
    'lines=1-2',
    'bytes=0-1,50-51',
    'bytes=--1',
  ])('is the whole for %s', (range) => {
    expect(choose(range)).toEqual({ kind: 'whole' });
  });

  it.each(['bytes=100-', 'bytes=200-300', 'bytes=9-5', 'bytes=-0'])('is none for %s', (range) => {
    expect(choose(range)).toEqual({ kind: 'none' });
  });

  it.each([
    ['spaces', ' ', '-1'],
    ['suffixes', ' -1'],
    ['commas', ','],
    ['ranges', '0-0,2-2,'],
    ['equals signs', '='],
  ])('is the whole, and found at once, for a million characters of %s', async (_what, unit, end = '') => {
    const range = `bytes=${unit.repeat(1_000_000 / unit.length)}${end}`;
    expect(choose(range)).toEqual({ kind: 'whole' });
    expect(await cpuTime(() => choose(range), 500)).toBeLessThan(500);
  });

  it('counts only while If-Range names these bytes', () => {
    expect(choose('bytes=0-9', '"abc"')).toMatchObject({ kind: 'part' });
    expect(choose('bytes=0-9', file.lastModified)).toMatchObject({ kind: 'part' });
    expect(choose('bytes=0-9', '"xyz"')).toEqual({ kind: 'whole' });
    expect(choose('bytes=0-9', 'W/"abc"')).toEqual({ kind: 'whole' });
  });
});
