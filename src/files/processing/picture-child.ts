import { stat } from 'node:fs/promises';
import type SharpFunction from 'sharp';
import { rgbaToThumbHash } from 'thumbhash';
import type { PictureAnswer, PictureFacts, PictureTask } from './picture-task.js';
import { POSTER_SIDE } from './variant-spec.js';

/**
 * The process that decodes pictures (pictures.ts starts it). It has no secret, no connection and no environment, takes one task at a time,
 * and is killed when it takes too long: so a bomb, or a flaw in a decoder, costs one picture.
 */

type Sharp = typeof SharpFunction;
let loading: Promise<Sharp> | undefined;

async function load(): Promise<Sharp> {
  const { default: sharp } = await import('sharp');
  sharp.cache(false);
  sharp.concurrency(1);
  // By their content files choose their decoder, so all but these few are shut: no SVG, no PDF, nothing of ImageMagick.
  sharp.block({ operation: ['VipsForeignLoad'] });
  sharp.unblock({
    operation: [
      'VipsForeignLoadJpegFile',
      'VipsForeignLoadPngFile',
      'VipsForeignLoadWebpFile',
      'VipsForeignLoadNsgifFile',
      'VipsForeignLoadHeifFile',
    ],
  });
  return sharp;
}

const open = (sharp: Sharp, { source, maxPixels }: PictureTask) =>
  // Of what moves the first picture. The header says how many pixels there are, before one is decoded.
  sharp(source, { limitInputPixels: maxPixels, failOn: 'error', sequentialRead: true });

async function factsOf(sharp: Sharp, task: PictureTask): Promise<PictureFacts> {
  const { autoOrient } = await open(sharp, task).metadata();
  // Decodes all of it: what gets facts can be shown.
  const { data, info } = await open(sharp, task)
    .autoOrient()
    .resize({ width: 100, height: 100, fit: 'inside' })
    .toColourspace('srgb')
    .ensureAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  const thumbhash = Buffer.from(rgbaToThumbHash(info.width, info.height, data)).toString('base64');
  return { width: autoOrient.width, height: autoOrient.height, thumbhash };
}

async function make(sharp: Sharp, task: Extract<PictureTask, { kind: 'variant' | 'poster' }>): Promise<void> {
  // Nothing of what a camera wrote is kept, and colours become sRGB: both are sharp's way unless it is told otherwise.
  const picture = open(sharp, task).autoOrient();
  const { width, height, fit, format } =
    task.kind === 'poster'
      ? ({ width: POSTER_SIDE, height: POSTER_SIDE, fit: 'inside', format: 'webp' } as const)
      : task.spec;
  picture.resize({
    width,
    height,
    fit,
    withoutEnlargement: true,
    background: { r: 0, g: 0, b: 0, alpha: 0 },
  });
  if (format === 'webp') picture.webp({ quality: 80 });
  // More effort costs many times as much, and saves next to nothing.
  else if (format === 'avif') picture.avif({ quality: 50, effort: 1 });
  else if (format === 'png') picture.png();
  else picture.flatten({ background: '#fff' }).jpeg({ quality: 80 });
  await picture.toFile(task.target);
}

async function answer(task: PictureTask): Promise<PictureAnswer> {
  let sharp: Sharp;
  try {
    sharp = await (loading ??= load());
  } catch (error) {
    return { kind: 'away', message: (error as Error).message };
  }
  try {
    // Its absence is our failure, and no verdict on the picture.
    await stat(task.source);
  } catch (error) {
    return { kind: 'failed', message: (error as Error).message };
  }
  try {
    if (task.kind === 'facts') return { kind: 'facts', facts: await factsOf(sharp, task) };
    await make(sharp, task);
    return { kind: 'made' };
  } catch (error) {
    return { kind: 'unreadable', message: (error as Error).message };
  }
}

process.on('message', (task: PictureTask) => {
  void answer(task).then((result) => process.send?.(result));
});
// Whoever wanted the answer is gone.
process.on('disconnect', () => process.exit());
