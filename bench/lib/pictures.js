import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';

/**
 * Writes `count` JPEGs of `width` by `height` pixels into `folder` and answers their names. All show the same, so that each is as much work as
 * the others, and no two have the same bytes, so that none is taken for another.
 */
export async function writePictures(folder, { width, height }, count) {
  const picture = await photo(width, height);
  const names = Array.from({ length: count }, (_, number) => `${width}x${height}-${number}.jpg`);
  for (const [number, name] of names.entries())
    await writeFile(join(folder, name), numbered(picture, number));
  return names;
}

/** A slope of colours under noise, coarse to fine, as photographs have detail in every size. */
async function photo(width, height) {
  const stops = ['#123', '#c84', '#eef'].map(
    (colour, index) => `<stop offset="${index / 2}" stop-color="${colour}"/>`,
  );
  const slope =
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">` +
    `<linearGradient id="slope" x2="1" y2="1">${stops.join('')}</linearGradient>` +
    `<rect width="100%" height="100%" fill="url(#slope)"/></svg>`;
  const layers = await Promise.all([32, 8, 1].map((grain) => noise(width, height, grain)));
  return sharp(Buffer.from(slope))
    .composite(layers.map((input) => ({ input, blend: 'overlay' })))
    .flatten()
    .jpeg({ quality: 90 })
    .toBuffer();
}

/** Noise whose grains are `grain` pixels wide. */
async function noise(width, height, grain) {
  const create = {
    width: Math.ceil(width / grain),
    height: Math.ceil(height / grain),
    channels: 3,
    noise: { type: 'gaussian', mean: 128, sigma: 20 },
  };
  const small = await sharp({ create }).png().toBuffer();
  return sharp(small).resize(width, height, { fit: 'fill' }).png({ compressionLevel: 1 }).toBuffer();
}

/** The JPEG with a number as its comment, which stands after the two bytes that every JPEG begins with. */
function numbered(jpeg, number) {
  const comment = Buffer.from([0xff, 0xfe, 0, 6, 0, 0, 0, 0]);
  comment.writeUInt32BE(number, 4);
  return Buffer.concat([jpeg.subarray(0, 2), comment, jpeg.subarray(2)]);
}
