import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Pictures, type OwnedPicture, type PictureTimes } from '../../src/files/processing/pictures.js';
import { BrokenOffError, Programs, UnreadableError } from '../../src/files/processing/program.js';
import { eventually } from '../support/deadline.js';
import { hugePng, noise } from '../support/pictures.js';

const owned = (source: string): OwnedPicture => ({ source, ownerId: 'ada' });
const programs = new Programs((process.env['PATH'] ?? '').split(delimiter));

describe('The process that decodes pictures', () => {
  let folder: string;
  const opened: Pictures[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'parley-test-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));
  afterEach(() => {
    for (const one of opened.splice(0)) one.close();
  });

  const open = (maxPixels = 1_000_000, times?: PictureTimes): Pictures => {
    const pictures = new Pictures({ programs, maxPixels }, times);
    opened.push(pictures);
    return pictures;
  };
  const lay = async (name: string, bytes: Buffer | string): Promise<string> => {
    const path = join(folder, name);
    await writeFile(path, bytes);
    return path;
  };
  const children = async (): Promise<string[]> =>
    (await readFile(`/proc/${process.pid}/task/${process.pid}/children`, 'utf8')).trim().split(' ');

  test('judges a bomb by its header', async () => {
    const pictures = open();
    for (const bytes of [hugePng(50_000, 50_000), hugePng(1001, 1000)])
      await expect(pictures.facts(owned(await lay('bomb.png', bytes)))).rejects.toThrow(/pixel limit/);
    await expect(
      pictures.facts(owned(await lay('fits.png', await noise(100, 90).png().toBuffer()))),
    ).resolves.toMatchObject({
      width: 100,
      height: 90,
    });
  });

  test('decodes the first of many pictures that move, and none of them on a canvas that is too large', async () => {
    const gif = await noise(16, 16).gif().toBuffer();
    // A header of 13 bytes, a table of colours, pictures, and one byte that ends it.
    const frames = 13 + 3 * 2 ** (((gif[10] ?? 0) & 7) + 1);
    const many = Buffer.concat([
      gif.subarray(0, frames),
      ...Array.from({ length: 20_000 }, () => gif.subarray(frames, -1)),
      gif.subarray(-1),
    ]);
    await expect(open().facts(owned(await lay('many.gif', many)))).resolves.toMatchObject({
      width: 16,
      height: 16,
    });
    // Every decoder goes by the size of the pictures, and lets the canvas grow.
    const descriptor = many.indexOf(0x2c, frames);
    many.writeUInt16LE(60_000, descriptor + 5);
    many.writeUInt16LE(60_000, descriptor + 7);
    await expect(open().facts(owned(await lay('many.gif', many)))).rejects.toThrow(UnreadableError);
  });

  test('renders no SVG, and no PDF, whatever they are called', async () => {
    const svg =
      '<svg xmlns="http://www.w3.org/2000/svg" width="10" height="10"><rect width="10" height="10"/></svg>';
    await expect(open().facts(owned(await lay('a.png', svg)))).rejects.toThrow(UnreadableError);
    await expect(open().facts(owned(await lay('b.png', '%PDF-1.4\n')))).rejects.toThrow(UnreadableError);
  });

  test('is killed when it takes too long, and the next picture has another one', async () => {
    const path = await lay('slow.png', await noise(900, 900).png().toBuffer());
    const pictures = open(1_000_000, { taskMs: 5, idleMs: 60_000 });
    await expect(pictures.facts(owned(path))).rejects.toThrow(BrokenOffError);
    await expect(pictures.facts(owned(path))).rejects.toThrow(BrokenOffError);
    await expect(open().facts(owned(path))).resolves.toMatchObject({ width: 900 });
  });

  test('ends when nobody needs it, and what is under way when it is aborted', async () => {
    const path = await lay('small.png', await noise(20, 20).png().toBuffer());
    // Those of the tests before may be ending still.
    const before = new Set(await children());
    const noneIsNew = async (): Promise<boolean> =>
      (await children()).every((pid) => before.has(pid) || pid === '');
    const pictures = open(1_000_000, { taskMs: 60_000, idleMs: 50 });
    const first = pictures.facts(owned(path));
    expect(await noneIsNew()).toBe(false);
    await first;
    await eventually(10_000, 'its process has ended', noneIsNew);
    const abort = new AbortController();
    const facts = pictures.facts(owned(path), abort.signal);
    abort.abort(new Error('the process stops'));
    await expect(facts).rejects.toThrow('the process stops');
    await eventually(10_000, 'its process has ended', noneIsNew);
  });
});
