/** Which files something is found out of, and by which program. All others are let alone: SVG among them, which is never rendered. */

/** What is found out by a job of this kind. */
export type MediaKind = 'picture' | 'film' | 'document';

/** Pictures that are decoded. The child (picture-child.ts) lets no other decoder near them. */
const PICTURES: ReadonlySet<string> = new Set([
  'image/jpeg',
  'image/png',
  'image/apng',
  'image/webp',
  'image/gif',
  'image/avif',
]);

/** The kind of job for a file of this media type; undefined where nothing is done. */
export function mediaKindOf(mimeType: string): MediaKind | undefined {
  if (PICTURES.has(mimeType)) return 'picture';
  if (mimeType === 'application/pdf') return 'document';
  return demuxerOf(mimeType) === undefined ? undefined : 'film';
}

/**
 * ffmpeg's demuxer for films and sounds of this media type. Named to it, so that it does not judge the bytes anew and take them for a
 * playlist, which names other files; undefined for what we do not open.
 */
export function demuxerOf(mimeType: string): string | undefined {
  switch (mimeType) {
    case 'video/mp4':
    case 'video/quicktime':
    case 'video/x-m4v':
    case 'video/3gpp':
    case 'video/3gpp2':
    case 'audio/mp4':
    case 'audio/x-m4a':
      return 'mov';
    case 'video/webm':
    case 'video/matroska':
      return 'matroska';
    case 'video/vnd.avi':
      return 'avi';
    case 'video/ogg':
    case 'audio/ogg':
      return 'ogg';
    case 'audio/mpeg':
      return 'mp3';
    case 'audio/wav':
      return 'wav';
    case 'audio/flac':
      return 'flac';
    case 'audio/aac':
      return 'aac';
    default:
      return undefined;
  }
}
