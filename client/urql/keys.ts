import type { DataFields, KeyingConfig } from '@urql/exchange-graphcache';

const embedded = (): null => null;

/**
 * Edges of lists that have one order only are told apart by their node, so that live rows can be added to
 * them.
 */
const byNode = ({ node }: DataFields): string | null =>
  (node as { readonly id?: string } | undefined)?.id ?? null;

/** Of other edges only a live one has a key: no page has given it a cursor. */
const whenLive = (edge: DataFields): string | null => (edge['cursor'] === '' ? byNode(edge) : null);

/** For `cacheExchange({ keys })`: how what has no `id` is told apart. Most of it is a part of what holds it. */
export const keys: KeyingConfig = {
  PageInfo: embedded,
  RoomConnection: embedded,
  RoomEdge: embedded,
  RoomMemberConnection: embedded,
  RoomMemberEdge: whenLive,
  MessageConnection: embedded,
  MessageEdge: byNode,
  FileConnection: embedded,
  ViewerFileConnection: embedded,
  FileEdge: whenLive,
  FilePage: embedded,

  Checkpoint: embedded,
  MessageAdded: embedded,
  MessageEdited: embedded,
  MessageDeleted: embedded,
  FileAdded: embedded,
  FileChanged: embedded,
  FileDeleted: embedded,
  MemberJoined: embedded,
  MemberRoleChanged: embedded,
  MemberLeft: embedded,
  TypingChanged: embedded,

  Image: embedded,
  Video: embedded,
  Audio: embedded,
  Pdf: embedded,

  StorageUse: embedded,
  UploadToken: embedded,
  UploadPart: embedded,

  Session: embedded,
  SignOutPayload: embedded,
  RenewConnectionPayload: embedded,
  CreateRoomPayload: embedded,
  JoinRoomPayload: embedded,
  DeleteRoomPayload: embedded,
  LeaveRoomPayload: embedded,
  AddMemberPayload: embedded,
  ChangeMemberRolePayload: embedded,
  RemoveMemberPayload: embedded,
  PostMessagePayload: embedded,
  EditMessagePayload: embedded,
  DeleteMessagePayload: embedded,
  SetTypingPayload: embedded,
  UploadFilePayload: embedded,
  UploadFilesPayload: embedded,
  UploadedFile: embedded,
  RejectedFile: embedded,
  CreateUploadPayload: embedded,
  CreateDirectUploadPayload: embedded,
  CompleteDirectUploadPayload: embedded,
  CancelUploadPayload: embedded,
  DeleteFilePayload: embedded,
};
