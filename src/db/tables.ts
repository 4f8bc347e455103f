import type { ColumnType, Generated, Insertable, Selectable } from 'kysely';

/** The tables as Kysely sees them; migrations/ makes them. Timestamps have milliseconds, ids are UUIDv7. */
export interface Tables {
  users: UsersTable;
  sessions: SessionsTable;
  refresh_tokens: RefreshTokensTable;
  known_addresses: KnownAddressesTable;
  rooms: RoomsTable;
  memberships: MembershipsTable;
  removals: RemovalsTable;
  room_events: RoomEventsTable;
  messages: MessagesTable;
  message_files: MessageFilesTable;
  files: FilesTable;
  blobs: BlobsTable;
  media_facts: MediaFactsTable;
  variants: VariantsTable;
  upload_leases: UploadLeasesTable;
  upload_sessions: UploadSessionsTable;
  clock: ClockTable;
  upload_parts: UploadPartsTable;
  file_store: FileStoreTable;
  idempotency_keys: IdempotencyKeysTable;
  jobs: JobsTable;
}

/** Set by the database when the row is made, and never changed. */
type CreatedAt = ColumnType<Date, Date | undefined, never>;

export type RoomVisibility = 'PUBLIC' | 'PRIVATE';
export type RoomRole = 'OWNER' | 'MODERATOR' | 'MEMBER';
export type RoomEventKind =
  | 'MESSAGE_ADDED'
  | 'MESSAGE_EDITED'
  | 'MESSAGE_DELETED'
  | 'FILE_ADDED'
  | 'FILE_CHANGED'
  | 'FILE_DELETED'
  | 'MEMBER_JOINED'
  | 'MEMBER_ROLE_CHANGED'
  | 'MEMBER_LEFT'
  | 'ROOM_DELETED';

interface UsersTable {
  id: string;
  /** As `emailKey` makes it (accounts/email.ts); null for a user of an identity provider that gave none. */
  email: string | null;
  handle: string;
  name: string;
  /** argon2id; null for a user who signs in at an identity provider. */
  password_hash: string | null;
  /** `iss` and `sub` of an identity provider's user. */
  issuer: string | null;
  subject: string | null;
  created_at: CreatedAt;
  /** Bytes of the files that they have uploaded and that are there. */
  used_bytes: Generated<number>;
}

/** One row: what is known of the database's own clock (clock.ts). */
interface ClockTable {
  is_only: Generated<boolean>;
  seen_at: Date;
  doubted_until: Date | null;
}

/** One sign-in and all that was refreshed from it: a refresh token family. */
interface SessionsTable {
  id: string;
  user_id: string;
  created_at: CreatedAt;
  expires_at: Date;
  ended_at: Date | null;
}

interface RefreshTokensTable {
  /** SHA-256 of the token, hex; the token itself is stored nowhere. */
  hash: string;
  session_id: string;
  created_at: CreatedAt;
  used_at: Date | null;
}

/** Where an account was used from: failed sign-ins of others do not lock it out there. */
interface KnownAddressesTable {
  user_id: string;
  /** A keyed hash: who reads the table learns no address. */
  address: string;
  seen_at: Generated<Date>;
}

interface RoomsTable {
  id: string;
  slug: string;
  name: string;
  /** As `nameKey` makes it (names.ts); null until a program that knows of it has come by (db/housekeeping.ts). */
  name_key: string | null;
  topic: string | null;
  visibility: RoomVisibility;
  created_at: CreatedAt;
  /** Random; stands for seq 0 in a cursor. */
  tag: string;
  /** The log's head: the seq and the tag of its newest event. */
  last_seq: Generated<number>;
  last_tag: string;
  member_count: Generated<number>;
  message_count: Generated<number>;
  file_count: Generated<number>;
  /** Bytes of the files that are there. */
  used_bytes: Generated<number>;
  /** From then on the room is there for nobody; a job deletes what it holds, and this row at last. */
  deleted_at: ColumnType<Date | null, Date | undefined, Date>;
  /** Until this time is old none of the room's events may go; null where they are one at most (log-trimming.ts). */
  trim_at: Generated<Date | null>;
}

interface MembershipsTable {
  room_id: string;
  user_id: string;
  role: RoomRole;
  joined_at: Date;
  /** The seq of the MEMBER_JOINED event. */
  joined_seq: number;
}

/** Who was removed from a room and may not rejoin by themselves. */
interface RemovalsTable {
  room_id: string;
  user_id: string;
  removed_at: CreatedAt;
}

interface RoomEventsTable {
  room_id: string;
  seq: number;
  /** Random, so that a cursor tells this event from another one that bore the same seq before a restore. */
  tag: string;
  kind: RoomEventKind;
  at: Date;
  actor_id: string | null;
  message_id: string | null;
  file_id: string | null;
  user_id: string | null;
  role: RoomRole | null;
}

interface MessagesTable {
  id: string;
  room_id: string;
  /** The seq of its MESSAGE_ADDED event: its place in the timeline. */
  seq: number;
  author_id: string;
  body: string;
  reply_to_id: string | null;
  created_at: Date;
  edited_at: Date | null;
  deleted_at: Date | null;
}

interface MessageFilesTable {
  message_id: string;
  position: number;
  file_id: string;
}

interface FilesTable {
  id: string;
  room_id: string;
  /** The seq of its FILE_ADDED event. */
  seq: number;
  uploader_id: string;
  name: string;
  /** The name as it is sorted and searched: as `nameKey` makes it (names.ts). */
  name_key: string;
  mime_type: string;
  /** The encoding of a text. Null for other files, and for texts from before it was recorded, which are UTF-8. */
  charset: string | null;
  size: number;
  sha256: string;
  /** Its bytes; null once it is deleted. */
  blob_id: string | null;
  /** Whether what was found in them is shown, which its room was told. */
  media_known: Generated<boolean>;
  created_at: Date;
  deleted_at: Date | null;
}

/** Bytes that lie in storage for as many files as name them. Where none does, the row goes. */
interface BlobsTable {
  /** The first key that its bytes lay under. */
  id: string;
  /** Where its bytes lie. */
  storage_key: string;
  sha256: string;
  size: number;
  /** Whether new files of this content share it: one blob of a content at most. Others are from before there was sharing. */
  is_shared: Generated<boolean>;
}

/** What was found in the bytes of a picture, a film, a sound or a document. A row of nulls: they were looked at, and nothing was found. */
interface MediaFactsTable {
  blob_id: string;
  /** Pixels, as it is shown: turned as it says itself. */
  width: number | null;
  height: number | null;
  /** Base64. */
  thumbhash: string | null;
  duration_ms: number | null;
  pages: number | null;
}

/** Pictures that were made of files. */
interface VariantsTable {
  blob_id: string;
  /** What it shows, as `variantName` (processing/variant-spec.ts) writes it. */
  name: string;
  storage_key: string;
  size: number;
  sha256: string;
  created_at: CreatedAt;
}

/** An upload under way, or bytes that are to be deleted: what a sweep may remove once the lease has run out. */
interface UploadLeasesTable {
  storage_key: string;
  expires_at: Date;
  /** Who uploads; null for bytes that are to be deleted. */
  user_id: string | null;
}

export type UploadState = 'RECEIVING' | 'PROCESSING' | 'DONE' | 'REFUSED';

/** An upload over several requests, and for some days what became of it. */
interface UploadSessionsTable {
  id: string;
  user_id: string;
  room_id: string;
  name: string;
  /** As the client claims. */
  claimed_type: string;
  /** Bytes that were announced. */
  size: number;
  /** Whether the client sends the bytes to the bucket itself. */
  is_direct: boolean;
  state: Generated<UploadState>;
  /** Of the whole, or on disk of the first piece; under a lease as long as the upload is open. */
  storage_key: string;
  /** Of the bucket's multipart upload, once there is one. */
  multipart_id: string | null;
  /** The object with the bytes behind the last part in a bucket, which are too few for one. */
  tail_key: string | null;
  /** Bytes that are durable. */
  received: Generated<number>;
  /** Parts of this number and above have never been written to. */
  next_part: Generated<number>;
  /** Counts the locks on it: what is written under an earlier one is refused. */
  fence: Generated<number>;
  /** When the holder of the lock is taken for dead; null where nobody holds it. */
  held_until: Date | null;
  /** The lock whose holder is asked to let it go. */
  let_go: Generated<number>;
  /** Why it was refused. */
  code: string | null;
  message: string | null;
  file_id: string | null;
  created_at: CreatedAt;
  /** When it ends untouched; once it is done or refused, when that was. */
  expires_at: Date;
}

/** Received bytes of an upload, in the order of their numbers: in a bucket a part, on disk a piece under a key of its own. */
interface UploadPartsTable {
  upload_id: string;
  number: number;
  /** Bytes. */
  size: number;
  storage_key: string | null;
  etag: string | null;
}

/** One row: the folder that the bytes of files lie in. */
interface FileStoreTable {
  /** The same id lies in the folder; null until a process has seen it. */
  id: string | null;
}

interface IdempotencyKeysTable {
  user_id: string;
  mutation: string;
  key: string;
  /** SHA-256 of the canonical input, hex. */
  input_hash: string;
  /** What the first call answered, as ids; JSON text. */
  outcome: string | null;
  created_at: CreatedAt;
}

/** Work that is to be done once, by any process, after the transaction that asked for it. */
interface JobsTable {
  kind: string;
  /** What it is done to: an id, as a rule. */
  subject: string;
  /** The user whose work it is. */
  owner: string | null;
  /** The earliest comes first: see `addJob`. */
  turn: Generated<Date>;
  /** When it is due; while a process is at it, when that is taken for dead. */
  run_at: ColumnType<Date, Date | undefined>;
  /** Times that it was begun. */
  attempts: Generated<number>;
}

export type UserRow = Selectable<UsersTable>;
export type RoomRow = Omit<Selectable<RoomsTable>, 'name_key'>;
export type MembershipRow = Selectable<MembershipsTable>;
export type RoomEventRow = Selectable<RoomEventsTable>;
export type NewRoomEvent = Insertable<RoomEventsTable>;
export type MessageRow = Selectable<MessagesTable>;
export type FileRow = Selectable<FilesTable>;
export type BlobRow = Selectable<BlobsTable>;
export type MediaFactsRow = Selectable<MediaFactsTable>;
export type VariantRow = Selectable<VariantsTable>;
export type NewFile = Insertable<FilesTable>;
export type UploadSessionRow = Selectable<UploadSessionsTable>;
export type UploadPartRow = Selectable<UploadPartsTable>;
