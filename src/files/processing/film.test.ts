import { describe, expect, it } from 'vitest';
import { readReport } from './film.js';

const report = (streams: object[], format: object = { duration: '1.040000' }): string =>
  JSON.stringify({ programs: [], streams, format });

describe("ffprobe's report", () => {
  it('tells the size of a film as it is shown, and how long it is', () => {
    const video = { codec_type: 'video', width: 320, height: 180, disposition: { attached_pic: 0 } };
    expect(readReport(report([{ codec_type: 'audio' }, video]), 1e6)).toMatchObject({
      width: 320,
      height: 180,
      duration_ms: 1040,
    });
    for (const [rotation, width] of [
      [90, 180],
      [-90, 180],
      [180, 320],
      ['90', 320],
    ] as const)
      expect(readReport(report([{ ...video, side_data_list: [{}, { rotation }] }]), 1e6).width).toBe(width);
  });

  it('does not take the picture on the sleeve of a song for a film', () => {
    const sleeve = { codec_type: 'video', width: 500, height: 500, disposition: { attached_pic: 1 } };
    expect(readReport(report([sleeve, { codec_type: 'audio' }]), 1e6)).toMatchObject({
      width: null,
      duration_ms: 1040,
    });
  });

  it.each([['N/A'], ['-1'], ['1e9'], ['99999999999'], [5], [undefined], [{}]])(
    'takes the duration %j for none',
    (duration) => {
      expect(readReport(report([{ codec_type: 'audio' }], { duration }), 1e6).duration_ms).toBeNull();
    },
  );

  it.each([
    '',
    'null',
    '[]',
    '{"streams":[]}',
    report([]),
    report([{ codec_type: 'subtitle' }]),
    report([{ codec_type: 'video' }]),
    report([{ codec_type: 'video', width: 1e9, height: 1 }]),
    report([{ codec_type: 'video', width: 0.5, height: 1 }]),
    report([{ codec_type: 'video', width: '10', height: 10 }]),
    report([{ codec_type: 'video', width: 1001, height: 1000 }]),
  ])('is refused where it is not as it should be: %s', (text) => {
    expect(() => readReport(text, 1e6)).toThrow();
  });
});
