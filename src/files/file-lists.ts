import type { Database } from '../db/database.js';
import type { KeysetPage, Slice } from '../db/keyset.js';
import type { FileRow } from '../db/tables.js';
import { badInput } from '../errors.js';
import { nameKey } from '../names.js';
import { membershipOf } from '../rooms/rooms.queries.js';
import { isIndexed, isUnfiltered, type FileCriteria, type FileOrder } from './file-criteria.queries.js';
import * as queries from './file-lists.queries.js';
import { countViewerFiles, viewerFilesPage, type ViewerRooms } from './viewer-files.queries.js';

/** Rows that numbered pages reach: beyond, counting them off costs too much. */
export const MAX_PAGED_ROWS = 10_000;
const MAX_PAGE_SIZE = 100;

/** What a list of files is narrowed to; all that is given must hold. */
export interface FileFilter {
  /** `image/png` or `image/*`. */
  readonly mimeType?: string | null | undefined;
  /** Part of the name, in any case. */
  readonly nameContains?: string | null | undefined;
  readonly uploaderId?: string | null | undefined;
  /** From this moment on. */
  readonly createdAfter?: Date | null | undefined;
  /** Before this moment. */
  readonly createdBefore?: Date | null | undefined;
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

/** How files are listed: those of a room, and those of all rooms that someone is in. */
export class FileLists {
  constructor(private readonly db: Database) {}

  /** A page of a room's files. Rights are not checked here. */
  page(roomId: string, filter: FileFilter, order: FileOrder, slice: Slice): Promise<KeysetPage<FileRow>> {
    return queries.filesPage(this.db, roomId, criteriaOf(filter), order, slice);
  }

  /** Rights are not checked here. */
  count(roomId: string, filter: FileFilter): Promise<number> {
    return queries.countFiles(this.db, roomId, criteriaOf(filter));
  }

  /** A numbered page, from 1 on; undefined where the actor may not look. Throws BAD_USER_INPUT for pages that end too deep. */
  async listing(
    actorId: string,
    { roomId, page, size }: { roomId: string; page: number; size: number },
    filter: FileFilter,
    order: FileOrder,
  ): Promise<FileListing | undefined> {
    if (page < 1) throw badInput('page', '`page` must be 1 or more.');
    if (size < 1 || size > MAX_PAGE_SIZE)
      throw badInput('size', `\`size\` must be from 1 to ${String(MAX_PAGE_SIZE)}.`);
    if (page * size > MAX_PAGED_ROWS) {
      throw badInput(
        'page',
        `Numbered pages end after ${String(MAX_PAGED_ROWS)} rows: use Room.files to go further.`,
      );
    }
    if ((await membershipOf(this.db, roomId, actorId)) === undefined) return undefined;
    const [items, total] = await Promise.all([
      queries.filesAt(this.db, roomId, criteriaOf(filter), order, { offset: (page - 1) * size, limit: size }),
      this.count(roomId, filter),
    ]);
    const pages = Math.min(Math.ceil(total / size), Math.floor(MAX_PAGED_ROWS / size));
    return { items, total, page, size, pages };
  }

  /** A page of the files of the rooms that the user is in: of all of them, or of those among `roomIds`. */
  viewerPage(
    viewer: ViewerRooms,
    filter: FileFilter,
    order: FileOrder,
    slice: Slice,
  ): Promise<KeysetPage<FileRow>> {
    return viewerFilesPage(this.db, viewer, criteriaOf(filter), order, slice);
  }

  viewerCount(viewer: ViewerRooms, filter: FileFilter): Promise<number> {
    return countViewerFiles(this.db, viewer, criteriaOf(filter));
  }
}

/** How much a list of files reads beside its page: nothing more; all that match, to count them; or all of it, to search. */
export function scanOf(filter: FileFilter, order: FileOrder): 'nothing' | 'counted' | 'searched' {
  const criteria = criteriaOf(filter);
  if (isUnfiltered(criteria)) return 'nothing';
  return isIndexed(criteria, order) ? 'counted' : 'searched';
}

const criteriaOf = (filter: FileFilter): FileCriteria => ({
  mimeType: filter.mimeType?.toLowerCase(),
  // Every name contains nothing.
  nameKeyContains: nameKey(filter.nameContains ?? '') || undefined,
  uploaderId: filter.uploaderId ?? undefined,
  createdFrom: filter.createdAfter ?? undefined,
  createdBefore: filter.createdBefore ?? undefined,
});
