import { rememberUsers } from '../accounts/accounts.schema.js';
import type { Feed, KnownSubjects } from '../events/feed-subscription.js';
import { ParleyError } from '../errors.js';
import type { Context } from '../graphql/context.js';
import { limits } from '../graphql/limits.js';
import { counts } from '../observability/counts.js';
import { rememberMessages } from '../messages/messages.schema.js';
import type { RoomWatch } from '../rooms/room-watch.js';
import type { LiveArgs } from './answers.js';
import { GroupMember } from './group-member.js';
import { LiveGroup } from './group.js';
import { selectionOf, type Selection } from './selection.js';
import type { LiveSink } from './sink.js';

interface RoomGroups {
  readonly groups: Map<string, LiveGroup>;
  /**
   * One for all groups of the room and for all that is executed in one turn of the event loop: its loaders ask once for all of it.
   * Given up when the log goes on, so that no event is shown as things were before it.
   */
  context: Context | undefined;
  /** Of the events that the log has gone on by in this turn. */
  known: KnownSubjects | undefined;
  /** What each user follows it with. */
  readonly followed: Map<string, Followed>;
}

/** The different selections of one user. */
interface Followed {
  readonly selections: number;
  /** What an event costs by all of them. */
  readonly cost: number;
}

const rooms = new WeakMap<Feed, RoomGroups>();

/**
 * Lets a subscriber follow a room together with all who select the same there. Answers its membership, to be stopped by the
 * client. Throws RATE_LIMITED for a user whose different selections are too many, or cost too much together: each is executed for each event.
 */
export function follow(watch: RoomWatch, args: LiveArgs, sink: LiveSink): GroupMember {
  const room = roomOf(watch.feed);
  const selection = selectionOf(args);
  const { name } = selection;
  const known = room.groups.get(name);
  if (known?.isFollowedBy(watch.userId) !== true) {
    const { selections, cost } = room.followed.get(watch.userId) ?? { selections: 0, cost: 0 };
    const together = cost + selection.cost;
    if (selections >= limits.roomSelections || together > limits.roomEventComplexity)
      throw tooManySelections();
    room.followed.set(watch.userId, { selections: selections + 1, cost: together });
  }
  return new GroupMember(watch, known ?? open(room, watch, args, selection), sink);
}

const tooManySelections = (): ParleyError =>
  new ParleyError(
    'RATE_LIMITED',
    `You can follow a room with ${limits.roomSelections} different selections, which may cost ${limits.roomEventComplexity} an event together: end one of them, or use one of their selections.`,
    { retryAfter: 1 },
  );

function roomOf(feed: Feed): RoomGroups {
  const known = rooms.get(feed);
  if (known !== undefined) return known;
  const room: RoomGroups = { groups: new Map(), context: undefined, known: undefined, followed: new Map() };
  rooms.set(feed, room);
  feed.onAppend((_rows, known) => {
    room.context = undefined;
    room.known = known;
    // Later it may be so no more.
    if (known !== undefined) setImmediate(() => (room.known = undefined));
  });
  return room;
}

function open(
  room: RoomGroups,
  watch: RoomWatch,
  args: LiveArgs,
  { name, needsViewer, showsRoom, cost }: Selection,
): LiveGroup {
  const own = needsViewer ? args.contextValue.fresh() : args.contextValue.shared();
  const group = new LiveGroup({
    feed: watch.feed,
    // Not the first subscriber's root value, which knows their socket: the group may outlive it.
    args: { ...args, rootValue: undefined, contextValue: own },
    freshContext: needsViewer ? () => own.fresh() : () => sharedContext(room, own),
    only: watch.only,
    tellsCheckpoints: watch.tellsCheckpoints,
    showsRoom,
    onUserGone: (userId) => {
      const followed = room.followed.get(userId);
      if (followed === undefined || followed.selections <= 1) room.followed.delete(userId);
      else room.followed.set(userId, { selections: followed.selections - 1, cost: followed.cost - cost });
    },
    onEmpty: () => {
      counts.groups -= 1;
      room.groups.delete(name);
    },
  });
  counts.groups += 1;
  room.groups.set(name, group);
  return group;
}

function sharedContext(room: RoomGroups, own: Context): Context {
  if (room.context === undefined) {
    room.context = own.fresh();
    if (room.known !== undefined) {
      rememberMessages(room.context, room.known.messages);
      rememberUsers(room.context, room.known.users);
    }
    setImmediate(() => {
      room.context = undefined;
    });
  }
  return room.context;
}
