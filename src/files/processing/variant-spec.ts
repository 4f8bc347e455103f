/**
 * What may be made of a picture. All of it is a bounded set, so that a file has a bounded number of variants, whoever asks: pixels of each
 * side out of SIDES, three fits, four formats.
 */

/** Pixels of a side. What is asked for is rounded up to one of them. */
export const SIDES: readonly number[] = [
  16, 24, 32, 48, 64, 96, 128, 160, 192, 240, 256, 320, 384, 480, 512, 640, 720, 768, 960, 1024, 1280, 1536,
  1920, 2048,
];
export const MAX_SIDE = 2048;

export const FITS = ['cover', 'contain', 'inside'] as const;
/** How a picture is fitted into its box: it fills it and is cropped, it stands in it with an edge around, or the box shrinks to it. */
export type Fit = (typeof FITS)[number];

export const FORMATS = ['webp', 'avif', 'jpeg', 'png'] as const;
export type Format = (typeof FORMATS)[number];

/** A variant as a link names it. */
export interface VariantSpec {
  readonly width: number;
  readonly height: number;
  readonly fit: Fit;
  /** `auto`: what the client takes, by its `Accept`. */
  readonly format: Format | 'auto';
}

/** A variant as it is kept. */
export type KeptSpec = VariantSpec & { readonly format: Format };

/** Pixels of the longer side of a poster at most. */
export const POSTER_SIDE = 1280;

/** Rounds a side up; undefined beyond MAX_SIDE and below 1. */
export const sideFor = (pixels: number): number | undefined =>
  pixels < 1 ? undefined : SIDES.find((side) => side >= pixels);

/** As it stands in links and in the database: `320x240-cover-webp`. */
export const variantName = ({ width, height, fit, format }: VariantSpec): string =>
  `${String(width)}x${String(height)}-${fit}-${format}`;

/** Reads what `variantName` wrote; undefined for anything else. */
export function parseVariantName(name: string): VariantSpec | undefined {
  const [, width, height, fit, format] = /^([1-9]\d{1,3})x([1-9]\d{1,3})-([a-z]+)-([a-z]+)$/.exec(name) ?? [];
  const spec = { width: Number(width), height: Number(height), fit, format };
  return isSpec(spec) ? spec : undefined;
}

const isSpec = (spec: {
  width: number;
  height: number;
  fit: string | undefined;
  format: string | undefined;
}): spec is VariantSpec =>
  SIDES.includes(spec.width) &&
  SIDES.includes(spec.height) &&
  (FITS as readonly (string | undefined)[]).includes(spec.fit) &&
  (spec.format === 'auto' || (FORMATS as readonly (string | undefined)[]).includes(spec.format));
