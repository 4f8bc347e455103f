import type { FileRow } from '../db/tables.js';
import { builder } from '../graphql/builder.js';
import { defineLoader, type Context } from '../graphql/context.js';
import { File, linkSeconds } from './files.schema.js';
import type { MediaFacts } from './processing/media.queries.js';
import { MAX_SIDE, SIDES } from './processing/variant-spec.js';

const loadMedia = defineLoader((ids: readonly string[], ctx) => ctx.services.files.media(ids));

/** A file with what was found out of it. */
interface Media {
  readonly file: FileRow;
  readonly facts: MediaFacts;
}

/** Undefined for a file of another type, and for one that was not looked at, or held nothing. */
async function mediaOf(ctx: Context, file: FileRow, type: RegExp): Promise<Media | undefined> {
  if (!file.media_known || file.blob_id === null || !type.test(file.mime_type)) return undefined;
  const facts = await loadMedia(ctx).load(file.blob_id);
  return facts && { file, facts };
}

const ImageFitEnum = builder.enumType('ImageFit', {
  description: 'How an image is fitted into the requested box. Images are never enlarged.',
  values: {
    COVER: { value: 'cover', description: 'The image fills the box; what does not fit is cropped.' },
    CONTAIN: {
      value: 'contain',
      description:
        'The whole image is shown in the box, and the rest of the box is padded: transparent, or white in a JPEG.',
    },
    INSIDE: {
      value: 'inside',
      description: 'The whole image fits into the box, and the box shrinks to its size.',
    },
  } as const,
});

const ImageFormatEnum = builder.enumType('ImageFormat', {
  description: 'The format that an image is encoded in.',
  values: {
    AUTO: {
      value: 'auto',
      description:
        "Whichever of WebP, AVIF, JPEG and PNG the client's `Accept` prefers; WebP if it states no preference.",
    },
    WEBP: { value: 'webp', description: 'WebP.' },
    AVIF: { value: 'avif', description: 'AVIF.' },
    JPEG: { value: 'jpeg', description: 'JPEG.' },
    PNG: { value: 'png', description: 'PNG.' },
  } as const,
});

interface PictureFacts {
  readonly file: FileRow;
  readonly width: number;
  readonly height: number;
  readonly thumbhash: string;
}

const Image = builder.objectRef<PictureFacts>('Image').implement({
  description: 'Metadata of an image, and links to it in other sizes.',
  fields: (t) => ({
    width: t.exposeInt('width', {
      description: 'Width in pixels as displayed, after applying the EXIF rotation.',
    }),
    height: t.exposeInt('height', {
      description: 'Height in pixels as displayed, after applying the EXIF rotation.',
    }),
    thumbhash: t.exposeString('thumbhash', {
      description:
        'A ThumbHash: about 25 bytes in Base64 from which a blurred placeholder can be drawn at once.',
    }),
    url: t.field({
      type: 'URL',
      description: `A signed link to the image in another size, made when it is first fetched, without the metadata of the original. For animations, the first frame. Sides are rounded up to one of ${SIDES.join(', ')}.`,
      args: {
        width: t.arg.int({
          description: `Width of the box in pixels, at most ${MAX_SIDE}. Defaults to ${MAX_SIDE}.`,
        }),
        height: t.arg.int({
          description: `Height of the box in pixels, at most ${MAX_SIDE}. Defaults to ${MAX_SIDE}.`,
        }),
        fit: t.arg({
          type: ImageFitEnum,
          required: true,
          defaultValue: 'inside',
          description:
            'How the image is fitted into the box. If only one side is given, it is always INSIDE.',
        }),
        format: t.arg({
          type: ImageFormatEnum,
          required: true,
          defaultValue: 'auto',
          description: 'The format to encode the image in.',
        }),
        expiresIn: t.arg.int(linkSeconds),
      },
      resolve: ({ file }, { width, height, fit, format, expiresIn }, ctx) =>
        ctx.services.files.pictureLink(
          file,
          { width: width ?? undefined, height: height ?? undefined, fit, format },
          expiresIn,
        ),
    }),
  }),
});

type VideoFacts = Media & { readonly width: number; readonly height: number };

const posterOf = ({ file, facts }: Media, expiresIn: number, ctx: Context): string | null =>
  facts.hasPoster ? ctx.services.files.posterLink(file, expiresIn) : null;

const Video = builder.objectRef<VideoFacts>('Video').implement({
  description: 'Metadata of a video, and a link to a still image of it.',
  fields: (t) => ({
    width: t.exposeInt('width', { description: 'Width in pixels as displayed.' }),
    height: t.exposeInt('height', { description: 'Height in pixels as displayed.' }),
    durationMs: t.field({
      type: 'SafeInt',
      nullable: true,
      description: 'Length in milliseconds; null if the file does not say.',
      resolve: ({ facts }) => facts.duration_ms,
    }),
    posterUrl: t.field({
      type: 'URL',
      nullable: true,
      description:
        'A signed link to a still image of the video, a WebP of at most 1280 pixels a side. Null if none could be made.',
      args: { expiresIn: t.arg.int(linkSeconds) },
      resolve: (media, { expiresIn }, ctx) => posterOf(media, expiresIn, ctx),
    }),
  }),
});

const Audio = builder.objectRef<{ readonly duration: number }>('Audio').implement({
  description: 'Metadata of an audio file.',
  fields: (t) => ({
    durationMs: t.field({
      type: 'SafeInt',
      description: 'Length in milliseconds.',
      resolve: ({ duration }) => duration,
    }),
  }),
});

type PdfFacts = Media & { readonly pages: number };

const Pdf = builder.objectRef<PdfFacts>('Pdf').implement({
  description: 'Metadata of a PDF, and a link to an image of its first page.',
  fields: (t) => ({
    pages: t.exposeInt('pages', { description: 'Number of pages.' }),
    previewUrl: t.field({
      type: 'URL',
      nullable: true,
      description:
        'A signed link to an image of the first page, a WebP of at most 1280 pixels a side. Null if none could be made.',
      args: { expiresIn: t.arg.int(linkSeconds) },
      resolve: (media, { expiresIn }, ctx) => posterOf(media, expiresIn, ctx),
    }),
  }),
});

const later = 'Null until it has been extracted, which FileChanged announces';

builder.objectFields(File, (t) => ({
  image: t.field({
    type: Image,
    nullable: true,
    description: `Metadata of the image. ${later}. Null if the file is not an image, or cannot be decoded within the server's limits. SVG is never rendered.`,
    resolve: async (file, _args, ctx) => {
      const { width, height, thumbhash } = (await mediaOf(ctx, file, /^image\//))?.facts ?? {};
      return width == null || height == null || thumbhash == null ? null : { file, width, height, thumbhash };
    },
  }),
  video: t.field({
    type: Video,
    nullable: true,
    description: `Metadata of the video. ${later}. Null if the file is not a video, or the server has no ffmpeg.`,
    resolve: async (file, _args, ctx) => {
      const media = await mediaOf(ctx, file, /^(?:video|audio)\//);
      const { width, height } = media?.facts ?? {};
      return media === undefined || width == null || height == null ? null : { ...media, width, height };
    },
  }),
  audio: t.field({
    type: Audio,
    nullable: true,
    description: `Metadata of the audio. ${later}. Null if the file is not audio, or contains video, or the server has no ffmpeg.`,
    resolve: async (file, _args, ctx) => {
      const { width, duration_ms: duration } = (await mediaOf(ctx, file, /^(?:video|audio)\//))?.facts ?? {};
      return duration == null || width != null ? null : { duration };
    },
  }),
  pdf: t.field({
    type: Pdf,
    nullable: true,
    description: `Metadata of the PDF. ${later}. Null if the file is not a PDF, or is password-protected, or the server has no poppler.`,
    resolve: async (file, _args, ctx) => {
      const media = await mediaOf(ctx, file, /^application\/pdf$/);
      const pages = media?.facts.pages;
      return media === undefined || pages == null ? null : { ...media, pages };
    },
  }),
}));
