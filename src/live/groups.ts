import type { Feed } from '../events/feed-subscription.js';
import { ParleyError } from '../errors.js';
import type { Context } from '../graphql/context.js';
import { limits } from '../graphql/limits.js';
import type { RoomWatch } from '../rooms/room-watch.js';
import type { LiveArgs } from './answers.js';
import { GroupMember } from './group-member.js';
import { LiveGroup } from './group.js';
import { selectionOf } from './selection.js';
import type { LiveSink } from './sink.js';

interface RoomGroups {
  readonly groups: Map<string, LiveGroup>;
  /**
   * One for all groups of the room and for all that is executed in one turn of the event loop: its loaders ask once for all of it.
   * Given up when the log goes on, so that no event is shown as things were before it.
   */
  context: Context | undefined;
}

const rooms = new WeakMap<Feed, RoomGroups>();

const tooManySelections = (): ParleyError =>
  new ParleyError(
    'RATE_LIMITED',
    `This room is followed with ${limits.roomSelections} different selections at once: select what others do.`,
    { retryAfter: 60 },
  );

/**
 * Lets a subscriber follow a room together with all who select the same there. Answers its membership, to be stopped by the
 * client. Throws RATE_LIMITED.
 */
export function follow(watch: RoomWatch, args: LiveArgs, sink: LiveSink): GroupMember {
  const { feed } = watch;
  const room = roomOf(feed);
  const { name, needsViewer, showsRoom } = selectionOf(args);
  let group = room.groups.get(name);
  if (group === undefined) {
    if (room.groups.size >= limits.roomSelections) throw tooManySelections();
    group = open(room, name, { watch, args, needsViewer, showsRoom });
  }
  return new GroupMember(watch, group, sink);
}

function roomOf(feed: Feed): RoomGroups {
  const known = rooms.get(feed);
  if (known !== undefined) return known;
  const room: RoomGroups = { groups: new Map(), context: undefined };
  rooms.set(feed, room);
  feed.onAppend(() => {
    room.context = undefined;
  });
  return room;
}

function open(
  room: RoomGroups,
  name: string,
  {
    watch,
    args,
    needsViewer,
    showsRoom,
  }: { watch: RoomWatch; args: LiveArgs; needsViewer: boolean; showsRoom: boolean },
): LiveGroup {
  const own = needsViewer ? args.contextValue.fresh() : args.contextValue.shared();
  const group = new LiveGroup({
    feed: watch.feed,
    args: { ...args, contextValue: own },
    freshContext: needsViewer ? () => own.fresh() : () => sharedContext(room, own),
    only: watch.only,
    tellsCheckpoints: watch.tellsCheckpoints,
    showsRoom,
    onEmpty: () => room.groups.delete(name),
  });
  room.groups.set(name, group);
  return group;
}

function sharedContext(room: RoomGroups, own: Context): Context {
  if (room.context === undefined) {
    room.context = own.fresh();
    setImmediate(() => {
      room.context = undefined;
    });
  }
  return room.context;
}
