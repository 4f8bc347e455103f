import sharp from 'sharp';

// As in Parley's src/files/processing/picture-child.ts: one thread a picture, and nothing remembered from one to the next.
sharp.cache(false);
sharp.concurrency(1);

/** The WebP of the picture in the file `source` that Parley makes of it, by sharp alone. */
export const makeVariant = (source, { width, height, fit }) =>
  sharp(source, { failOn: 'error', sequentialRead: true })
    .autoOrient()
    .resize({ width, height, fit, withoutEnlargement: true, background: { r: 0, g: 0, b: 0, alpha: 0 } })
    .webp({ quality: 80 })
    .toBuffer();
