import { once } from 'node:events';
import { PassThrough, Readable } from 'node:stream';
import { expect, test } from 'vitest';
import { chunksOf, letGo } from './chunks.js';

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

test('gives the chunks of a stream as they came, also those that waited', async () => {
  const stream = new PassThrough({ highWaterMark: MIB });
  const sent = Array.from({ length: 5 }, (_, i) => Buffer.alloc(1000, i));
  for (const chunk of sent) stream.write(chunk);
  stream.end();
  const got: Uint8Array[] = [];
  for await (const chunk of chunksOf(stream)) got.push(chunk);
  expect(got).toEqual(sent);
});

test('takes little from a stream before it is asked for, and leaves the rest to others', async () => {
  let made = 0;
  const stream = new Readable({
    highWaterMark: 1024,
    read() {
      made += 1;
      this.push(Buffer.alloc(64 * 1024, made));
    },
  });
  const chunks = chunksOf(stream);
  await chunks.next();
  // As many turns as it would take to read far ahead.
  for (let i = 0; i < 100; i++) await new Promise(setImmediate);
  expect(made).toBeLessThanOrEqual(6);
  await chunks.return();
  expect(stream.destroyed).toBe(false);
  expect(stream.listenerCount('data')).toBe(0);
  expect(stream.isPaused()).toBe(true);
});

test.each([
  ['by an error', new Error('gone')],
  ['without one', undefined],
])('says that a stream was broken off %s, behind what had come', async (_how, error) => {
  const stream = new PassThrough();
  stream.write('abc');
  const chunks = chunksOf(stream);
  expect((await chunks.next()).value).toEqual(Buffer.from('abc'));
  const next = chunks.next();
  stream.destroy(error);
  await expect(next).rejects.toThrow(error === undefined ? /premature/i : 'gone');
});

test.each([1, 5])(
  'leaves the stream to somebody else when its reader stops while it waits (%d chunks)',
  async (count) => {
    const stream = new PassThrough({ highWaterMark: MIB });
    const chunks = chunksOf(stream);
    const waiting = chunks.next();
    const stopped = chunks.return();
    let got = 0;
    stream.on('data', (chunk: Buffer) => (got += chunk.length));
    for (let i = 0; i < count; i++) stream.write(Buffer.alloc(100_000));
    await Promise.all([waiting, stopped]);
    stream.end();
    await once(stream, 'end', { signal: AbortSignal.timeout(5000) });
    expect(got).toBe(count * 100_000);
  },
);

test('ends at once where a stream has ended already', async () => {
  const stream = Readable.from([]);
  stream.resume();
  await once(stream, 'end');
  expect(await chunksOf(stream).next()).toEqual({ done: true, value: undefined });
});
