import { transaction, type Database } from '../../db/database.js';
import type { FileRow } from '../../db/tables.js';
import type { Bus } from '../../events/bus.js';
import { appendEvent, takeSeq } from '../../events/event-log.js';
import type { JobKind } from '../../jobs/job-runner.js';
import type { Logger } from '../../observability/logger.js';
import { underRoomLock } from '../../rooms/room-write.js';
import { storedFile } from '../files.queries.js';
import { countPages, renderPage, type DocumentPrograms } from './document.js';
import { probeFilm, takePoster, type Film, type FilmPrograms } from './film.js';
import type { MediaKind } from './media-kinds.js';
import { insertFacts, mediaFacts, NOTHING, POSTER, showMedia, type NewFacts } from './media.queries.js';
import type { OwnedPicture, Pictures } from './pictures.js';
import { BrokenOffError, UnreadableError, type Programs } from './program.js';
import { MAX_PICTURE_BYTES, type Original, type Variants } from './variants.js';
import { MissingBytesError, type Workshop } from './workshop.js';

/** Bytes of the largest file of a kind that is looked at. */
const MAX_BYTES: Readonly<Record<MediaKind, number>> = {
  picture: MAX_PICTURE_BYTES,
  film: 2 * 1024 ** 3,
  document: 256 * 1024 * 1024,
};

/** Times that a job is begun before nothing is taken for found: what the bytes are to blame for ends at once, so these were outages and crashes. */
const ATTEMPTS = 30;

export interface MediaJobDeps {
  readonly db: Database;
  readonly bus: Bus;
  readonly logger: Logger;
  readonly workshop: Workshop;
  readonly pictures: Pictures;
  readonly variants: Variants;
  readonly programs: Programs;
  readonly maxPixels: number;
  readonly film: FilmPrograms | undefined;
  readonly document: DocumentPrograms | undefined;
}

/** A file that is there. */
type Seen = Original & Pick<FileRow, 'id' | 'mime_type'>;

/** Finds out what is in a file that lies in `folder`, and makes the poster of it, if it has one. Throws UnreadableError. */
type Look = (file: Seen, path: string, folder: string, signal: AbortSignal) => Promise<NewFacts>;

/**
 * The jobs whose subject is a file: find out, write down, tell the room. A kind whose programs are missing here is left to processes that have them,
 * or to the day when they are installed.
 */
export function mediaJobs(deps: MediaJobDeps): JobKind[] {
  const { film, document } = deps;
  return [
    jobOf(deps, 'picture', ({ uploader_id: ownerId }, source, _folder, signal) =>
      lookAtPicture(deps, { source, ownerId }, signal),
    ),
    ...(film === undefined
      ? []
      : [
          jobOf(deps, 'film', (file, path, folder, signal) =>
            lookAtFilm(deps, film, file, { path, folder, mimeType: file.mime_type }, signal),
          ),
        ]),
    ...(document === undefined
      ? []
      : [
          jobOf(deps, 'document', (file, path, folder, signal) =>
            lookAtDocument(deps, document, file, path, folder, signal),
          ),
        ]),
  ];
}

const jobOf = (deps: MediaJobDeps, kind: MediaKind, look: Look): JobKind => {
  const shown = async (
    fileId: string,
    find: (file: Seen) => Promise<NewFacts | undefined>,
  ): Promise<void> => {
    const file = await storedFile(deps.db, fileId);
    if (file?.blob_id == null) return;
    const original = { ...file, blob_id: file.blob_id };
    // Another file may have the same bytes.
    let [facts]: (NewFacts | undefined)[] = await mediaFacts(deps.db, [original.blob_id]);
    if (facts === undefined) {
      facts = await find(original);
      if (facts === undefined) return;
      const found = facts;
      await transaction(deps.db, (trx) => insertFacts(trx, original.blob_id, found));
    }
    await show(deps, file, facts);
  };
  return {
    kind,
    atOnce: 2,
    perOwner: 1,
    attempts: ATTEMPTS,
    run: (fileId, signal) => shown(fileId, (file) => factsOf(deps, kind, look, file, signal)),
    giveUp: (fileId, error) => {
      if (error !== undefined) throw new Error('it is tried once more', { cause: error });
      return shown(fileId, () => Promise.resolve(NOTHING));
    },
  };
};

/** Undefined where the file was deleted meanwhile, or has lost its bytes. */
async function factsOf(
  deps: MediaJobDeps,
  kind: MediaKind,
  look: Look,
  file: Seen,
  signal: AbortSignal,
): Promise<NewFacts | undefined> {
  const once = (): Promise<NewFacts> =>
    deps.workshop.with(file, MAX_BYTES[kind], (path, folder) => look(file, path, folder, signal), signal);
  try {
    // A program that was killed is begun once more: that may have been the machine's fault.
    return await once().catch((error: unknown) => {
      if (error instanceof BrokenOffError) return once();
      throw error;
    });
  } catch (error) {
    if (error instanceof MissingBytesError) return undefined;
    if (!(error instanceof UnreadableError)) throw error;
    deps.logger.info({ fileId: file.id, kind, reason: error.message }, 'nothing is shown of a file');
    return NOTHING;
  }
}

async function lookAtPicture(
  deps: MediaJobDeps,
  picture: OwnedPicture,
  signal: AbortSignal,
): Promise<NewFacts> {
  const { width, height, thumbhash } = await deps.pictures.facts(picture, signal);
  return { ...NOTHING, width, height, thumbhash };
}

async function lookAtFilm(
  deps: MediaJobDeps,
  programs: FilmPrograms,
  file: Seen,
  film: Film,
  signal: AbortSignal,
): Promise<NewFacts> {
  const facts = await probeFilm(deps.programs, programs, film, deps.maxPixels, signal);
  if (facts.width !== null) {
    await keepPoster(deps, file, film.folder, signal, () =>
      takePoster(deps.programs, programs, film, facts.duration_ms, signal),
    );
  }
  return facts;
}

async function lookAtDocument(
  deps: MediaJobDeps,
  programs: DocumentPrograms,
  file: Seen,
  path: string,
  folder: string,
  signal: AbortSignal,
): Promise<NewFacts> {
  const pages = await countPages(deps.programs, programs, path, folder, signal);
  await keepPoster(deps, file, folder, signal, () =>
    renderPage(deps.programs, programs, path, folder, signal),
  );
  return { ...NOTHING, pages };
}

/** What cannot be drawn has no poster, and its facts all the same. */
async function keepPoster(
  { pictures, variants }: MediaJobDeps,
  { blob_id: blobId, uploader_id: ownerId }: Seen,
  folder: string,
  signal: AbortSignal,
  draw: () => Promise<string>,
): Promise<void> {
  try {
    const target = `${folder}/kept`;
    await pictures.poster({ source: await draw(), ownerId }, target, signal);
    await variants.keep(blobId, POSTER, target);
  } catch (error) {
    if (!(error instanceof UnreadableError)) throw error;
  }
}

/** From now on the file shows what was found in it. Tells the room of it in the same transaction, if it is something. */
const show = (deps: MediaJobDeps, { id, room_id: roomId }: FileRow, facts: NewFacts): Promise<void> =>
  underRoomLock(deps, roomId, undefined, async (trx, wake) => {
    if (!(await showMedia(trx, id))) return;
    if (Object.keys(NOTHING).every((name) => facts[name as keyof NewFacts] === null)) return;
    const place = await takeSeq(trx, roomId);
    await appendEvent(trx, roomId, place, { kind: 'FILE_CHANGED', actor_id: null, file_id: id });
    wake(place.seq);
  });
