import type { Migration } from 'kysely';
import * as accounts from './0001_accounts.js';
import * as rooms from './0002_rooms.js';
import * as files from './0003_files.js';
import * as messages from './0004_messages.js';
import * as fileStore from './0005_file_store.js';
import * as jobs from './0006_jobs.js';
import * as blobs from './0007_blobs.js';
import * as uploadSessions from './0008_upload_sessions.js';
import * as fileLists from './0009_file_lists.js';
import * as previews from './0010_previews.js';
import * as storageUse from './0011_storage_use.js';
import * as roomDeletion from './0012_room_deletion.js';
import * as fairWork from './0014_fair_work.js';
import * as clock from './0015_clock.js';
import * as fileCharset from './0016_file_charset.js';
import * as knownAddresses from './0019_known_addresses.js';
import * as foldedNames from './0020_folded_names.js';
import * as logTrimming from './0021_log_trimming.js';
import * as roomKeys from './0022_room_keys.js';
import * as deletedFiles from './0025_deleted_files.js';

/** Every step by its name, in order. A step that has been released is never edited: a change is a new step. */
export const migrations: Record<string, Migration> = {
  '0001_accounts': accounts,
  '0002_rooms': rooms,
  '0003_files': files,
  '0004_messages': messages,
  '0005_file_store': fileStore,
  '0006_jobs': jobs,
  '0007_blobs': blobs,
  '0008_upload_sessions': uploadSessions,
  '0009_file_lists': fileLists,
  '0010_previews': previews,
  '0011_storage_use': storageUse,
  '0012_room_deletion': roomDeletion,
  '0014_fair_work': fairWork,
  '0015_clock': clock,
  '0016_file_charset': fileCharset,
  '0019_known_addresses': knownAddresses,
  '0020_folded_names': foldedNames,
  '0021_log_trimming': logTrimming,
  '0022_room_keys': roomKeys,
  '0025_deleted_files': deletedFiles,
};
