import type { FileRow } from '../db/tables.js';
import { builder } from '../graphql/builder.js';
import { defineLoader, type Context } from '../graphql/context.js';
import { File } from './files.schema.js';
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

const seconds = { required: true, defaultValue: 900, description: 'Seconds, 86,400 at most.' } as const;

const ImageFitEnum = builder.enumType('ImageFit', {
  description: 'How a picture is fitted into the box that is asked for. None is ever made larger than it is.',
  values: {
    COVER: { value: 'cover', description: 'It fills the box, and what stands out is cropped.' },
    CONTAIN: {
      value: 'contain',
      description: 'All of it is in the box, with an edge around: transparent, or white in a JPEG.',
    },
    INSIDE: { value: 'inside', description: 'All of it, and the box shrinks to it.' },
  } as const,
});

const ImageFormatEnum = builder.enumType('ImageFormat', {
  description: 'What a picture is encoded as.',
  values: {
    AUTO: {
      value: 'auto',
      description:
        "What the client's `Accept` likes best of WebP, AVIF, JPEG and PNG; WebP where it does not say.",
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
  description: 'What is known of a picture.',
  fields: (t) => ({
    width: t.exposeInt('width', { description: 'Pixels, as it is shown: turned as its camera says.' }),
    height: t.exposeInt('height', { description: 'Pixels, as it is shown.' }),
    thumbhash: t.exposeString('thumbhash', {
      description: 'Some 25 bytes in Base64 from which a blurred picture is drawn at once (ThumbHash).',
    }),
    url: t.field({
      type: 'URL',
      description: `A signed link to it in another size, made when it is first fetched, without what its camera wrote into it. Of what moves the first picture. Sides are rounded up to one of ${SIDES.join(', ')}.`,
      args: {
        width: t.arg.int({ description: `Pixels of the box, ${MAX_SIDE} at most, and so many if left out.` }),
        height: t.arg.int({
          description: `Pixels of the box, ${MAX_SIDE} at most, and so many if left out.`,
        }),
        fit: t.arg({
          type: ImageFitEnum,
          required: true,
          defaultValue: 'inside',
          description: 'How it is fitted into the box. With one side alone it is INSIDE.',
        }),
        format: t.arg({
          type: ImageFormatEnum,
          required: true,
          defaultValue: 'auto',
          description: 'What it is encoded as.',
        }),
        expiresIn: t.arg.int(seconds),
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
  description: 'What is known of a film.',
  fields: (t) => ({
    width: t.exposeInt('width', { description: 'Pixels, as it is shown.' }),
    height: t.exposeInt('height', { description: 'Pixels, as it is shown.' }),
    durationMs: t.field({
      type: 'SafeInt',
      nullable: true,
      description: 'Milliseconds; null where it does not say.',
      resolve: ({ facts }) => facts.duration_ms,
    }),
    posterUrl: t.field({
      type: 'URL',
      nullable: true,
      description:
        'A signed link to a picture of it, 1280 pixels at most, WebP. Null where none could be made.',
      args: { expiresIn: t.arg.int(seconds) },
      resolve: (media, { expiresIn }, ctx) => posterOf(media, expiresIn, ctx),
    }),
  }),
});

const Audio = builder.objectRef<{ readonly duration: number }>('Audio').implement({
  description: 'What is known of a sound.',
  fields: (t) => ({
    durationMs: t.field({
      type: 'SafeInt',
      description: 'Milliseconds.',
      resolve: ({ duration }) => duration,
    }),
  }),
});

type PdfFacts = Media & { readonly pages: number };

const Pdf = builder.objectRef<PdfFacts>('Pdf').implement({
  description: 'What is known of a PDF.',
  fields: (t) => ({
    pages: t.exposeInt('pages', { description: 'How many it has.' }),
    previewUrl: t.field({
      type: 'URL',
      nullable: true,
      description:
        'A signed link to a picture of its first page, 1280 pixels at most, WebP. Null where none could be made.',
      args: { expiresIn: t.arg.int(seconds) },
      resolve: (media, { expiresIn }, ctx) => posterOf(media, expiresIn, ctx),
    }),
  }),
});

const later = 'Null until it is known, which FileChanged tells';

builder.objectFields(File, (t) => ({
  image: t.field({
    type: Image,
    nullable: true,
    description: `${later}, and for what is no picture, or none that can be decoded within the server's bounds. SVG is never rendered.`,
    resolve: async (file, _args, ctx) => {
      const { width, height, thumbhash } = (await mediaOf(ctx, file, /^image\//))?.facts ?? {};
      return width == null || height == null || thumbhash == null ? null : { file, width, height, thumbhash };
    },
  }),
  video: t.field({
    type: Video,
    nullable: true,
    description: `${later}, and for what is no film, or where the server has no ffmpeg.`,
    resolve: async (file, _args, ctx) => {
      const media = await mediaOf(ctx, file, /^(?:video|audio)\//);
      const { width, height } = media?.facts ?? {};
      return media === undefined || width == null || height == null ? null : { ...media, width, height };
    },
  }),
  audio: t.field({
    type: Audio,
    nullable: true,
    description: `${later}, and for what is no sound, has a picture too, or where the server has no ffmpeg.`,
    resolve: async (file, _args, ctx) => {
      const { width, duration_ms: duration } = (await mediaOf(ctx, file, /^(?:video|audio)\//))?.facts ?? {};
      return duration == null || width != null ? null : { duration };
    },
  }),
  pdf: t.field({
    type: Pdf,
    nullable: true,
    description: `${later}, and for what is no PDF, takes a password, or where the server has no poppler.`,
    resolve: async (file, _args, ctx) => {
      const media = await mediaOf(ctx, file, /^application\/pdf$/);
      const pages = media?.facts.pages;
      return media === undefined || pages == null ? null : { ...media, pages };
    },
  }),
}));
