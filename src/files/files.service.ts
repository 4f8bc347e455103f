import type { Database } from '../db/database.js';
import type { KeysetPage, Slice } from '../db/keyset.js';
import type { FileRow } from '../db/tables.js';
import { badInput, forbidden, notFound } from '../errors.js';
import type { Bus } from '../events/bus.js';
import { writeInRoom } from '../rooms/room-write.js';
import { membershipOf } from '../rooms/rooms.queries.js';
import { releaseBlobs } from './blobs.queries.js';
import { nameKey } from './file-name.js';
import { FileUploads, type FileUploadsDeps, type FileWritten } from './file-uploads.js';
import * as policy from './files.policy.js';
import * as queries from './files.queries.js';
import { MAX_LINK_SECONDS, type FileLinks } from './links.js';

/** Rows that numbered pages reach: beyond, counting them off costs too much. */
const MAX_PAGED_ROWS = 10_000;
const MAX_PAGE_SIZE = 100;

export interface FilesDeps extends FileUploadsDeps {
  readonly db: Database;
  readonly bus: Bus;
  readonly links: FileLinks;
}

/** What a list of a room's files is narrowed to; all that is given must hold. */
export interface FileFilter {
  /** `image/png` or `image/*`. */
  readonly mimeType?: string | null | undefined;
  /** Part of the name, in any case. */
  readonly nameContains?: string | null | undefined;
  readonly uploaderId?: string | null | undefined;
}

export interface FileListing {
  readonly items: FileRow[];
  /** Rows a page, as asked. */
  readonly size: number;
  readonly page: number;
  /** All rows that match. */
  readonly total: number;
  /** Pages that can be asked for. */
  readonly pages: number;
}

/** The files of rooms: who sees them, how they are listed, how they go. `actorId` is the signed-in user. */
export class FilesService {
  /** How they come. */
  readonly uploads: FileUploads;

  constructor(private readonly deps: FilesDeps) {
    this.uploads = new FileUploads(deps);
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
          throw forbidden('Its uploader, moderators and owners delete a file.');
        }
        const place = await write.take({ files: -1 });
        await queries.markDeleted(write.trx, fileId, place.at);
        if (present.blob_id !== null) await releaseBlobs(write.trx, [present.blob_id]);
        const eventCursor = await write.append(place, {
          kind: 'FILE_DELETED',
          actor_id: actorId,
          file_id: fileId,
        });
        return { fileId, eventCursor };
      },
      'The file',
    );
    this.deps.sweeper.sweepSoon();
    return written;
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

  /** Rights are not checked here. */
  page(
    roomId: string,
    filter: FileFilter,
    order: queries.FileOrder,
    slice: Slice,
  ): Promise<KeysetPage<FileRow>> {
    return queries.filesPage(this.deps.db, roomId, criteria(filter), order, slice);
  }

  /** Rights are not checked here. */
  count(roomId: string, filter: FileFilter): Promise<number> {
    return queries.countFiles(this.deps.db, roomId, criteria(filter));
  }

  /** A numbered page, from 1 on; undefined where the actor may not look. Throws BAD_USER_INPUT for pages that end too deep. */
  async listing(
    actorId: string,
    { roomId, page, size }: { roomId: string; page: number; size: number },
    filter: FileFilter,
    order: queries.FileOrder,
  ): Promise<FileListing | undefined> {
    if (page < 1) throw badInput('page', 'Pages are numbered from 1 on.');
    if (size < 1 || size > MAX_PAGE_SIZE)
      throw badInput('size', `\`size\` takes 1 to ${String(MAX_PAGE_SIZE)}.`);
    if (page * size > MAX_PAGED_ROWS) {
      throw badInput('page', `Numbered pages end at ${String(MAX_PAGED_ROWS)} rows: use Room.files there.`);
    }
    if ((await membershipOf(this.deps.db, roomId, actorId)) === undefined) return undefined;
    const [items, total] = await Promise.all([
      queries.filesAt(this.deps.db, roomId, criteria(filter), order, {
        offset: (page - 1) * size,
        limit: size,
      }),
      this.count(roomId, filter),
    ]);
    const pages = Math.min(Math.ceil(total / size), Math.floor(MAX_PAGED_ROWS / size));
    return { items, total, page, size, pages };
  }

  /** A signed link that works for `seconds`. Throws BAD_USER_INPUT for a life that is out of range. */
  link(file: Pick<FileRow, 'id' | 'name'>, seconds: number): string {
    if (seconds < 1 || seconds > MAX_LINK_SECONDS) {
      throw badInput('expiresIn', `\`expiresIn\` takes 1 to ${String(MAX_LINK_SECONDS)} seconds.`);
    }
    return this.deps.links.url(file, seconds);
  }
}

const criteria = ({ mimeType, nameContains, uploaderId }: FileFilter): queries.FileCriteria => ({
  mimeType: mimeType?.toLowerCase(),
  nameKeyContains: nameContains == null ? undefined : nameKey(nameContains),
  uploaderId: uploaderId ?? undefined,
});
