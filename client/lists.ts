/** What of an event of `roomEvents`, `messageAdded` or `fileAdded` changes the lists of its room. */
export interface RoomEventData {
  readonly __typename?: string;
  readonly message?: { readonly id: string };
  readonly file?: { readonly id: string } | null;
  readonly fileId?: string;
  readonly member?: { readonly id: string } | null;
  readonly memberId?: string;
}

/** A row that came into a list of a room, or left it. */
export interface Change {
  readonly field: 'messages' | 'files' | 'members';
  readonly type: 'Message' | 'File' | 'RoomMember';
  readonly id: string;
  /** Where new rows come in. */
  readonly end: 'start' | 'end';
  /**
   * `shown`: the event has the row. `counted`: it came, but the event does not have it, as in a replay where it has left since.
   * `gone`: it left.
   */
  readonly row: 'shown' | 'counted' | 'gone';
}

/** Where messages go. */
export const MESSAGES = { field: 'messages', type: 'Message', end: 'end' } as const;
const FILES = { field: 'files', type: 'File', end: 'start' } as const;
const MEMBERS = { field: 'members', type: 'RoomMember', end: 'end' } as const;

/** What an event changes of the lists of its room, as far as the document has selected it. */
export function changeOf(event: RoomEventData): Change | undefined {
  const { message, file, fileId = file?.id, member, memberId = member?.id } = event;
  switch (event.__typename) {
    case 'MessageAdded':
      return message && { ...MESSAGES, id: message.id, row: 'shown' };
    case 'FileAdded':
      return came(FILES, fileId, file);
    case 'MemberJoined':
      return came(MEMBERS, memberId, member);
    case 'FileDeleted':
      return fileId === undefined ? undefined : { ...FILES, id: fileId, row: 'gone' };
    case 'MemberLeft':
      return memberId === undefined ? undefined : { ...MEMBERS, id: memberId, row: 'gone' };
    default:
      return undefined;
  }
}

const came = (
  list: typeof FILES | typeof MEMBERS,
  id: string | undefined,
  row: unknown,
): Change | undefined =>
  id === undefined ? undefined : { ...list, id, row: row == null ? 'counted' : 'shown' };

/** Whether a list has all rows of its room, in the order in which they come: no filter, and no other order than the default one. */
export function isPlain({ filter, orderBy }: Readonly<Record<string, unknown>>): boolean {
  const { field = 'CREATED_AT', direction = 'DESC' } = (orderBy ?? {}) as Record<string, unknown>;
  return (
    Object.values(filter ?? {}).every((value) => value == null) &&
    field === 'CREATED_AT' &&
    direction === 'DESC'
  );
}
