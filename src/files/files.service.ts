import { transaction, type Database } from '../db/database.js';
import type { FileRow } from '../db/tables.js';
import { badInput, forbidden, notFound } from '../errors.js';
import type { Bus } from '../events/bus.js';
import { dropJob } from '../jobs/jobs.queries.js';
import { writeInRoom } from '../rooms/room-write.js';
import { releaseBlobs } from './blobs.queries.js';
import { FileLists } from './file-lists.js';
import { FileUploads, type FileUploadsDeps, type FileWritten } from './file-uploads.js';
import * as policy from './files.policy.js';
import * as queries from './files.queries.js';
import { MAX_LINK_SECONDS, type FileLinks } from './links.js';
import { discharge, type Quotas } from './quotas.js';
import { deleteSomeOfRoom } from './room-files.js';
import { lockUsage } from './usage.queries.js';
import { mediaKindOf } from './processing/media-kinds.js';
import { mediaFacts, POSTER, type MediaFacts } from './processing/media.queries.js';
import { MAX_SIDE, sideFor, variantName, type VariantSpec } from './processing/variant-spec.js';

export interface FilesDeps extends FileUploadsDeps {
  readonly db: Database;
  readonly bus: Bus;
  readonly links: FileLinks;
  /** Whether anything that was found out of files is shown. */
  readonly showsPreviews: boolean;
}

/** A picture that is asked for: a side that is not given is as long as the other one lets it be. */
export type AskedPicture = Pick<VariantSpec, 'fit' | 'format'> & {
  readonly width: number | undefined;
  readonly height: number | undefined;
};

/** The files of rooms: how they come, how they are listed, how they go. `actorId` is the signed-in user. */
export class FilesService {
  /** How they come. */
  readonly uploads: FileUploads;
  /** How they are listed. */
  readonly lists: FileLists;

  constructor(private readonly deps: FilesDeps) {
    this.uploads = new FileUploads(deps);
    this.lists = new FileLists(deps.db);
  }

  /** What may be stored. */
  get quotas(): Quotas {
    return this.deps.quotas;
  }

  /**
   * Deletes a file at once; its bytes go soon after, also through a crash, unless other files share them. Throws NOT_FOUND for one that is deleted or in a
   * room that the actor is no member of, FORBIDDEN for all but its uploader, moderators and owners.
   */
  async delete(actorId: string, fileId: string): Promise<FileWritten> {
    const file = await this.fileRow(fileId);
    if (file === undefined) throw notFound('The file');
    const written = await writeInRoom(
      this.deps,
      actorId,
      file.room_id,
      async (write) => {
        const [present] = await queries.filesByIds(write.trx, [fileId]);
        if (present === undefined || write.role === undefined) throw notFound('The file');
        if (!policy.canDelete(present, actorId, write.role)) {
          throw forbidden('Only the uploader, moderators and owners can delete a file.');
        }
        const place = await write.take({ files: -1 });
        await queries.markDeleted(write.trx, fileId, place.at);
        if (present.blob_id !== null) await releaseBlobs(write.trx, [present.blob_id]);
        await discharge(write.trx, { userId: present.uploader_id, roomId: present.room_id }, present.size);
        const media = mediaKindOf(present.mime_type);
        if (media !== undefined) await dropJob(write.trx, media, fileId);
        const eventCursor = await write.append(place, {
          kind: 'FILE_DELETED',
          actor_id: actorId,
          file_id: fileId,
        });
        return { fileId, eventCursor };
      },
      { what: 'The file', lockFirst: (trx) => lockUsage(trx, file.uploader_id) },
    );
    this.deps.sweeper.sweepSoon();
    return written;
  }

  /** Deletes some files of a deleted room, and uploads into it, and their bytes soon after; false once there are none. */
  async emptyRoom(background: Database, roomId: string): Promise<boolean> {
    const hadSome = await transaction(background, (trx) => deleteSomeOfRoom(trx, roomId));
    if (hadSome) this.deps.sweeper.sweepSoon();
    return hadSome;
  }

  /** In the order of `ids`; undefined for what was deleted. Rights are not checked here. */
  files(ids: readonly string[]): Promise<(FileRow | undefined)[]> {
    return queries.filesByIds(this.deps.db, ids);
  }

  /** A file that is there, with where its bytes lie. Rights are not checked here. */
  stored(id: string): Promise<queries.StoredFileRow | undefined> {
    return queries.storedFile(this.deps.db, id);
  }

  /** The row of a file that is there or was deleted: what an outcome names. */
  fileRow(id: string): Promise<FileRow | undefined> {
    return queries.fileRow(this.deps.db, id);
  }

  /** What was found out of blobs, in the order of `ids`; undefined for what was not looked at. Rights are not checked here. */
  media(ids: readonly string[]): Promise<(MediaFacts | undefined)[]> {
    return this.deps.showsPreviews
      ? mediaFacts(this.deps.db, ids)
      : Promise.resolve(ids.map(() => undefined));
  }

  /** A signed link to a picture of a picture. Throws BAD_USER_INPUT for a side or a life that is out of range. */
  pictureLink(file: Pick<FileRow, 'id' | 'name'>, asked: AskedPicture, seconds: number): string {
    const { format } = asked;
    const width = sideOf('width', asked.width);
    const height = sideOf('height', asked.height);
    // With one side given there is nothing to crop, and no edge to add.
    const fit = asked.width === undefined || asked.height === undefined ? 'inside' : asked.fit;
    return this.link(file, seconds, variantName({ width, height, fit, format }));
  }

  /** A signed link to the picture that was made of a film or a document. Throws BAD_USER_INPUT for a life that is out of range. */
  posterLink(file: Pick<FileRow, 'id' | 'name'>, seconds: number): string {
    return this.link(file, seconds, POSTER);
  }

  /** A signed link that works for `seconds`. Throws BAD_USER_INPUT for a life that is out of range. */
  link(file: Pick<FileRow, 'id' | 'name'>, seconds: number, variant?: string): string {
    if (seconds < 1 || seconds > MAX_LINK_SECONDS) {
      throw badInput('expiresIn', `\`expiresIn\` must be from 1 to ${String(MAX_LINK_SECONDS)} seconds.`);
    }
    return this.deps.links.url(file, seconds, variant);
  }
}

function sideOf(field: string, pixels: number | undefined): number {
  if (pixels === undefined) return MAX_SIDE;
  const side = sideFor(pixels);
  if (side === undefined) throw badInput(field, `\`${field}\` must be from 1 to ${String(MAX_SIDE)}.`);
  return side;
}
