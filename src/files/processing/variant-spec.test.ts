import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FITS, FORMATS, MAX_SIDE, parseVariantName, SIDES, sideFor, variantName } from './variant-spec.js';

describe('what is made of a picture', () => {
  it('has sides out of a bounded set, never shorter than was asked', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: MAX_SIDE }), (pixels) => {
        const side = sideFor(pixels) ?? 0;
        expect(SIDES).toContain(side);
        expect(side).toBeGreaterThanOrEqual(pixels);
        expect(sideFor(side)).toBe(side);
      }),
    );
    expect([sideFor(0), sideFor(-1), sideFor(MAX_SIDE + 1)]).toEqual([undefined, undefined, undefined]);
  });

  it('is read as it was written', () => {
    for (const fit of FITS) {
      for (const format of [...FORMATS, 'auto'] as const) {
        const spec = { width: 16, height: 2048, fit, format };
        expect(parseVariantName(variantName(spec))).toEqual(spec);
      }
    }
  });

  it.each([
    '',
    'poster',
    '17x16-cover-auto',
    '16x16-fill-auto',
    '16x16-cover-svg',
    '16x16-cover-auto-',
    '016x16-cover-auto',
  ])('is nothing by the name %j', (name) => {
    expect(parseVariantName(name)).toBeUndefined();
  });
});
