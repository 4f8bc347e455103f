/** Kilobits a second by the index in the header: MPEG-1 layers I to III, then MPEG-2 layer I and layers II and III. */
const BITRATES = [
  [32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448],
  [32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384],
  [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
  [32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256],
  [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
];
const SAMPLE_RATES = [44_100, 48_000, 32_000];

/** Frames in a row that prove the format: two bytes of synchronization alone occur in any data. */
const FRAMES = 3;

/**
 * Whether the bytes begin with frames of MPEG audio (ISO 11172-3 and 13818-3) or of AAC in ADTS
 * (ISO 13818-7). `complete`: whether these are all bytes of the file.
 */
export function isMpegAudio(bytes: Buffer, complete: boolean): boolean {
  let at = 0;
  for (let count = 0; count < FRAMES; count += 1) {
    // A file of fewer frames ends with one of them.
    if (at === bytes.length && complete) return count > 0;
    const length = frameLength(bytes, at);
    if (length === undefined) return false;
    at += length;
    if (at > bytes.length) return !complete || count > 0;
  }
  return true;
}

/** Bytes of the frame at this place; undefined if none begins there. */
function frameLength(bytes: Buffer, at: number): number | undefined {
  if (at + 6 > bytes.length) return undefined;
  const header = bytes.readUInt32BE(at);
  if (header >>> 21 !== 0x7_ff) return undefined;
  const layerBits = (header >>> 17) & 3;
  if (layerBits === 0) return adtsLength(bytes, at);
  const version = (header >>> 19) & 3;
  const layer = 4 - layerBits;
  const isFirst = version === 3;
  const kilobits = BITRATES[isFirst ? layer - 1 : layer === 1 ? 3 : 4]?.[((header >>> 12) & 15) - 1];
  const base = SAMPLE_RATES[(header >>> 10) & 3];
  if (version === 1 || kilobits === undefined || base === undefined) return undefined;
  const rate = isFirst ? base : version === 2 ? base / 2 : base / 4;
  const padding = (header >>> 9) & 1;
  if (layer === 1) return (Math.floor((12_000 * kilobits) / rate) + padding) * 4;
  return Math.floor(((layer === 3 && !isFirst ? 72_000 : 144_000) * kilobits) / rate) + padding;
}

function adtsLength(bytes: Buffer, at: number): number | undefined {
  // All of synchronization is set, and the sampling frequency is one of thirteen.
  if (bytes.readUInt16BE(at) >>> 4 !== 0xf_ff || (((bytes[at + 2] ?? 0) >>> 2) & 15) > 12) return undefined;
  const length = (bytes.readUIntBE(at + 3, 3) >>> 5) & 0x1f_ff;
  return length < 7 ? undefined : length;
}
