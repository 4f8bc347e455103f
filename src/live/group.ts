import { setImmediate as nextTurn, setTimeout as milliseconds } from 'node:timers/promises';
import type { RoomEventKind, RoomEventRow } from '../db/tables.js';
import type { LogHead } from '../events/event-log.js';
import type { Feed } from '../events/feed-subscription.js';
import { checkpointAt, CHECKPOINT_MS, toldOf, type RoomEvent } from '../rooms/room-watch.js';
import type { Context } from '../graphql/context.js';
import { counts } from '../observability/counts.js';
import { tracing } from '../observability/tracing.js';
import { answerTo, type LiveArgs } from './answers.js';
import type { GroupMember } from './group-member.js';
import { batches, type Answer } from './sink.js';

/** Answers that a group keeps, for those who come a little later than the others: a crowd that connects again, a slow reader. */
const KEPT = 512;
/** Bytes of their texts. */
const KEPT_BYTES = 512 * 1024;
/** Milliseconds for which one is kept. What has a time in it, such as a link that expires, must not grow old. */
const KEPT_MS = 5000;

/** Kinds of events that change nothing which an earlier event shows. */
const ADDING: ReadonlySet<RoomEventKind> = new Set(['MESSAGE_ADDED', 'FILE_ADDED']);

interface Kept {
  readonly at: number;
  readonly answer: Promise<Answer>;
  /** Of its text, once it is there. */
  bytes: number;
}

export interface GroupOptions {
  readonly feed: Feed;
  /** What is executed for each event. */
  readonly args: LiveArgs;
  /** A context with nothing remembered from before this turn of the event loop. */
  readonly freshContext: () => Context;
  readonly only: RoomEventKind | undefined;
  readonly tellsCheckpoints: boolean;
  /** Every event changes what the others show. */
  readonly showsRoom: boolean;
  /** The last subscriber of a user has left. */
  readonly onUserGone: (userId: string) => void;
  readonly onEmpty: () => void;
}

/**
 * The subscribers of one room who are sent the same texts. Each event is executed once for all of them. Those who have everything up
 * to `position` are live: what happens next is handed to them as it happens. One whose connection does not take it leaves,
 * reads on by itself from its place (GroupMember), and joins again.
 */
export class LiveGroup {
  private readonly members = new Set<GroupMember>();
  /** How many of them each user has. */
  private readonly users = new Map<string, number>();
  private readonly live = new Set<GroupMember>();
  private position: LogHead;
  private readonly kept = new Map<string, Kept>();
  private keptBytes = 0;
  private pumping = false;
  private readonly silence: NodeJS.Timeout;
  private readonly stopListening: () => void;

  constructor(private readonly options: GroupOptions) {
    const { feed } = options;
    this.position = feed.head ?? { seq: 0, tag: '' };
    this.stopListening = feed.onAppend((rows) => {
      if (options.showsRoom || rows.some(({ kind }) => !ADDING.has(kind))) this.forget();
      void this.pump();
    });
    this.silence = setTimeout(() => void this.onSilence(), CHECKPOINT_MS);
    this.silence.unref();
  }

  add(member: GroupMember): void {
    this.members.add(member);
    this.users.set(member.userId, (this.users.get(member.userId) ?? 0) + 1);
  }

  isFollowedBy(userId: string): boolean {
    return this.users.has(userId);
  }

  /** Makes a member live that has everything up to its place, which is nowhere before the group's. */
  join(member: GroupMember): void {
    this.live.add(member);
    void this.pump();
  }

  delete(member: GroupMember): void {
    this.live.delete(member);
    if (!this.members.delete(member)) return;
    const { userId } = member;
    const left = (this.users.get(userId) ?? 0) - 1;
    if (left > 0) this.users.set(userId, left);
    else {
      this.users.delete(userId);
      this.options.onUserGone(userId);
    }
    if (this.members.size > 0) return;
    this.stopListening();
    clearTimeout(this.silence);
    this.forget();
    this.options.onEmpty();
  }

  /** What is sent for these events, in their order. Each is executed once, however many ask. Throws LiveEnd. */
  async answers(events: readonly RoomEvent[]): Promise<readonly Answer[]> {
    return Promise.all(events.map((event) => this.answer(event)));
  }

  private answer(event: RoomEvent): Promise<Answer> {
    const name = `${event.kind === 'CHECKPOINT' ? 'after ' : ''}${event.seq}`;
    const kept = this.kept.get(name);
    const now = performance.now();
    if (kept !== undefined && now - kept.at < KEPT_MS) return kept.answer;
    this.drop(name);
    const { args, freshContext } = this.options;
    const entry: Kept = {
      at: now,
      bytes: 0,
      answer: answerTo({ ...args, contextValue: freshContext() }, event),
    };
    this.kept.set(name, entry);
    entry.answer.then(
      ({ text }) => {
        if (this.kept.get(name) !== entry) return;
        entry.bytes = text.length;
        this.keptBytes += entry.bytes;
        this.trim();
      },
      () => {
        if (this.kept.get(name) === entry) this.drop(name);
      },
    );
    return entry.answer;
  }

  private trim(): void {
    const now = performance.now();
    for (const [name, { at }] of this.kept) {
      if (now - at < KEPT_MS && this.kept.size <= KEPT && this.keptBytes <= KEPT_BYTES) break;
      this.drop(name);
    }
  }

  private drop(name: string): void {
    this.keptBytes -= this.kept.get(name)?.bytes ?? 0;
    this.kept.delete(name);
  }

  private forget(): void {
    this.kept.clear();
    this.keptBytes = 0;
  }

  /** Brings those who are live up to the feed's head, once at a time. */
  private async pump(): Promise<void> {
    if (this.pumping) return;
    this.pumping = true;
    const { feed, only } = this.options;
    try {
      while (feed.head !== undefined && feed.head.seq > this.position.seq) {
        if (this.live.size === 0) {
          this.position = feed.head;
          return;
        }
        const rows = await feed.after(this.position.seq);
        const told = toldOf(rows, only);
        const answers = await this.answers(told);
        const begun = performance.now();
        this.push(rows, told, answers);
        tracing?.delivered(
          feed.roomId,
          told.map(({ seq }) => seq),
          this.live.size,
          begun,
        );
        await pauseOf(performance.now() - begun);
      }
    } catch (error) {
      if (feed.head !== undefined) this.position = feed.head;
      for (const member of [...this.live]) member.end(error);
    } finally {
      this.pumping = false;
    }
  }

  private push(
    rows: readonly RoomEventRow[],
    told: readonly RoomEventRow[],
    answers: readonly Answer[],
  ): void {
    const last = rows.at(-1);
    if (last === undefined) return;
    let before = this.position;
    for (const { from, batch } of batches(answers)) {
      const next = told[from + batch.answers.length - 1];
      const first = told[from];
      if (next === undefined || first === undefined) break;
      const leaving: GroupMember[] = [];
      for (const member of this.live) {
        // One that joined ahead of the group reads by itself what of this it does not have.
        if (member.seq >= first.seq) {
          leaving.push(member);
        } else if (member.sink.isReady) {
          member.sink.send(batch);
        } else {
          member.moveTo(before);
          leaving.push(member);
          counts.catchUps.slow += 1;
        }
      }
      counts.deliveries += (this.live.size - leaving.length) * batch.answers.length;
      for (const member of leaving) {
        this.live.delete(member);
        member.readOn();
      }
      before = { seq: next.seq, tag: next.tag };
    }
    this.position = { seq: last.seq, tag: last.tag };
    this.silence.refresh();
  }

  /** After a minute without an event, those who keep cursors get a fresh one. */
  private async onSilence(): Promise<void> {
    this.forget();
    this.silence.refresh();
    const { feed, tellsCheckpoints } = this.options;
    if (!tellsCheckpoints || this.live.size === 0) return;
    const { position } = this;
    try {
      const answers = await this.answers([checkpointAt(feed, position)]);
      // What happened meanwhile is a sign of life.
      if (this.position !== position) return;
      for (const { batch } of batches(answers)) {
        for (const member of this.live)
          if (member.seq <= position.seq && member.sink.isReady) member.sink.send(batch);
      }
    } catch (error) {
      for (const member of [...this.live]) member.end(error);
    }
  }
}

/**
 * Handing out to many takes a while, in which nothing else is done. As long again is left for what happens meanwhile, which then goes out
 * together: the faster it comes, the more of it leaves in one write.
 */
const pauseOf = (spentMs: number): Promise<void> => (spentMs < 1 ? nextTurn() : milliseconds(spentMs));
