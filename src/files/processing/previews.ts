import { join } from 'node:path';
import type { JobKind } from '../../jobs/job-runner.js';
import type { DocumentPrograms } from './document.js';
import type { FilmPrograms } from './film.js';
import { mediaJobs, type MediaJobDeps } from './media-jobs.js';
import { Pictures } from './pictures.js';
import { Programs } from './program.js';
import { Variants, type VariantDeps } from './variants.js';
import { Workshop } from './workshop.js';

export interface PreviewDeps
  extends Pick<MediaJobDeps, 'db' | 'bus' | 'logger'>, Pick<VariantDeps, 'storage' | 'sweeper'> {
  /** The folder of this installation. */
  readonly dataDir: string;
  readonly previews: {
    readonly on: boolean;
    readonly maxPixels: number;
    readonly programFolders: readonly string[];
  };
}

/** What this process can find out of files, and make of them. */
export interface Previews {
  /** Undefined where previews are switched off. */
  readonly variants: Variants | undefined;
  /** The jobs that this process does. */
  readonly jobs: readonly JobKind[];
  /** Each package of programs that films and documents need, for `/readyz`. */
  readonly state: Readonly<Record<'ffmpeg' | 'poppler', 'ok' | 'missing' | 'off'>>;
  /** Ends what is under way. */
  close(): void;
}

/** Looks which programs are there. One line of the log names those that are not. */
export function openPreviews(deps: PreviewDeps): Previews {
  const { dataDir, storage, logger, previews } = deps;
  if (!previews.on) {
    const state = { ffmpeg: 'off', poppler: 'off' } as const;
    return { variants: undefined, jobs: [], state, close: () => undefined };
  }
  const { maxPixels } = previews;
  const programs = new Programs(previews.programFolders);
  const film = filmPrograms(programs);
  const document = documentPrograms(programs);
  const state = { ffmpeg: stateOf(film), poppler: stateOf(document) };
  const missing = Object.entries(state).flatMap(([name, found]) => (found === 'ok' ? [] : [name]));
  if (missing.length > 0) logger.info({ missing }, 'not on the PATH: files have no previews by these');

  const workshop = new Workshop(join(dataDir, 'workshop'), storage);
  void workshop.clean().catch((err: unknown) => logger.warn({ err }, 'old workshops could not be removed'));
  const pictures = new Pictures({ programs, maxPixels });
  const variants = new Variants({ ...deps, pictures, workshop });
  return {
    variants,
    jobs: mediaJobs({ ...deps, workshop, pictures, variants, programs, maxPixels, film, document }),
    state,
    close: () => pictures.close(),
  };
}

const stateOf = (found: object | undefined): 'ok' | 'missing' => (found === undefined ? 'missing' : 'ok');

function filmPrograms(programs: Programs): FilmPrograms | undefined {
  const [ffprobe, ffmpeg] = [programs.find('ffprobe'), programs.find('ffmpeg')];
  return ffprobe === undefined || ffmpeg === undefined ? undefined : { ffprobe, ffmpeg };
}

function documentPrograms(programs: Programs): DocumentPrograms | undefined {
  const [pdfinfo, pdftoppm] = [programs.find('pdfinfo'), programs.find('pdftoppm')];
  return pdfinfo === undefined || pdftoppm === undefined ? undefined : { pdfinfo, pdftoppm };
}
