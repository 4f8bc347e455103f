import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { demuxerOf } from './media-kinds.js';
import { NOTHING, type NewFacts } from './media.queries.js';
import { UnreadableError, type Bounds, type Programs } from './program.js';
import { POSTER_SIDE } from './variant-spec.js';

/** ffprobe and ffmpeg. */
export interface FilmPrograms {
  readonly ffprobe: string;
  readonly ffmpeg: string;
}

/** A film or a sound that lies in a file. */
export interface Film {
  readonly path: string;
  /** A folder for what is made. */
  readonly folder: string;
  readonly mimeType: string;
}

const BOUNDS: Bounds = { memory: 1024 ** 3, cpuSeconds: 60 };
const MS = 60_000;
const MAX_PROBE_BYTES = 256 * 1024;
/** Seconds into a film at which its poster is taken, if it is long enough. */
const POSTER_SECONDS = 3;
const MAX_SECONDS = 1e9;

/** Decimal seconds. */
const secondsText = z
  .string()
  .regex(/^\d{1,10}(\.\d+)?$/)
  .transform(Number)
  .refine((value) => value < MAX_SECONDS);

const side = z.int().min(1).max(65_535);

/** The part of ffprobe's report that is read. What else it says is let be. */
const Report = z.object({
  streams: z.array(
    z.object({
      codec_type: z.string().optional(),
      width: z.unknown().optional(),
      height: z.unknown().optional(),
      disposition: z.object({ attached_pic: z.unknown().optional() }).optional(),
      side_data_list: z.array(z.object({ rotation: z.unknown().optional() })).optional(),
    }),
  ),
  format: z.object({ duration: z.unknown().optional() }),
});

/**
 * What ffprobe finds. The demuxer is named and only this file may be opened, whatever it refers to. Throws UnreadableError, also for more pixels than
 * `maxPixels`.
 */
export async function probeFilm(
  programs: Programs,
  { ffprobe, ffmpeg }: FilmPrograms,
  film: Film,
  maxPixels: number,
  signal: AbortSignal,
): Promise<NewFacts> {
  const shown =
    'stream=codec_type,width,height:stream_disposition=attached_pic:stream_side_data=rotation:format=duration';
  const args = ['-v', 'error', ...inputOf(film), '-show_entries', shown, '-of', 'json'];
  const options = { bounds: BOUNDS, cwd: film.folder, ms: MS, maxOutput: MAX_PROBE_BYTES, signal };
  const facts = readReport(await programs.run(ffprobe, args, options), maxPixels);
  if (facts.duration_ms !== null) return facts;
  return { ...facts, duration_ms: await measureLength(programs, ffmpeg, film, signal) };
}

/** Milliseconds. What a browser records as WebM does not state its length: it is read to its end instead. */
async function measureLength(
  programs: Programs,
  ffmpeg: string,
  film: Film,
  signal: AbortSignal,
): Promise<number | null> {
  const args = ['-nostdin', '-v', 'error', '-nostats', '-stats_period', '3600', '-progress', 'pipe:1'];
  const options = { bounds: BOUNDS, cwd: film.folder, ms: MS, maxOutput: MAX_PROBE_BYTES, signal };
  const text = await programs
    .run(ffmpeg, [...args, ...inputOf(film), '-map', '0', '-c', 'copy', '-f', 'null', '-'], options)
    .catch((error: unknown) => {
      // What ends early has an unknown length, and all else that was found.
      if (error instanceof UnreadableError) return '';
      throw error;
    });
  const microseconds = Number(
    text
      .match(/^out_time_us=(\d{1,15})$/gm)
      ?.at(-1)
      ?.split('=')[1] ?? 0,
  );
  return microseconds > 0 && microseconds / 1e6 < MAX_SECONDS ? Math.round(microseconds / 1000) : null;
}

/** Reads ffprobe's report. Throws UnreadableError for one that is not as it should be. */
export function readReport(text: string, maxPixels: number): NewFacts {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new UnreadableError('ffprobe answered no JSON');
  }
  const report = Report.safeParse(json);
  if (!report.success) throw new UnreadableError('ffprobe answered something else');
  const { streams, format } = report.data;
  const seconds = secondsText.safeParse(format.duration);
  const duration = seconds.success ? Math.round(seconds.data * 1000) : null;

  // The picture on the sleeve of a song is no film.
  const video = streams.find((one) => one.codec_type === 'video' && one.disposition?.attached_pic !== 1);
  if (video === undefined) {
    if (!streams.some((one) => one.codec_type === 'audio')) throw new UnreadableError('no film and no sound');
    return { ...NOTHING, duration_ms: duration };
  }
  const size = z.object({ width: side, height: side }).safeParse(video);
  if (!size.success) throw new UnreadableError('a film without a size');
  const { width, height } = size.data;
  if (width * height > maxPixels) throw new UnreadableError(`more than ${String(maxPixels)} pixels`);
  const turn = video.side_data_list?.find(({ rotation }) => typeof rotation === 'number')?.rotation;
  const lies = typeof turn === 'number' && Math.abs(turn % 180) === 90;
  return {
    ...NOTHING,
    width: lies ? height : width,
    height: lies ? width : height,
    duration_ms: duration,
  };
}

/**
 * A picture of the film as a PNG; answers its path. Of one whose last picture comes before the usual moment, as where sound goes on alone, it is the
 * first. Throws UnreadableError.
 */
export async function takePoster(
  programs: Programs,
  { ffmpeg }: FilmPrograms,
  film: Film,
  durationMs: number | null,
  signal: AbortSignal,
): Promise<string> {
  const target = join(film.folder, 'poster.png');
  for (const at of [Math.min(POSTER_SECONDS, (durationMs ?? 0) / 1000 / 10), 0]) {
    await drawAt(programs, ffmpeg, film, at, target, signal);
    // Where there is no picture behind this moment, ffmpeg ends well and writes nothing.
    if (existsSync(target)) return target;
  }
  throw new UnreadableError('a film without pictures');
}

async function drawAt(
  programs: Programs,
  ffmpeg: string,
  film: Film,
  at: number,
  target: string,
  signal: AbortSignal,
): Promise<void> {
  const box = `scale=w='min(${String(POSTER_SIDE)},iw)':h='min(${String(POSTER_SIDE)},ih)':force_original_aspect_ratio=decrease`;
  const args = [
    ...['-nostdin', '-v', 'error', '-threads', '1', '-ss', at.toFixed(3), ...inputOf(film)],
    ...['-map', '0:V:0', '-frames:v', '1', '-filter_threads', '1', '-vf', box],
    ...['-threads', '1', '-c:v', 'png', '-f', 'image2', '-update', '1', `file:${target}`],
  ];
  await programs.run(ffmpeg, args, { bounds: BOUNDS, cwd: film.folder, ms: MS, maxOutput: 1024, signal });
}

function inputOf({ path, mimeType }: Film): string[] {
  const demuxer = demuxerOf(mimeType);
  if (demuxer === undefined) throw new UnreadableError(`${mimeType} is not opened`);
  return ['-protocol_whitelist', 'file', '-f', demuxer, '-i', `file:${path}`];
}
