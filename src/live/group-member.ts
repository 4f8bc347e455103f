import type { LogHead } from '../events/event-log.js';
import { counts } from '../observability/counts.js';
import type { RoomWatch } from '../rooms/room-watch.js';
import type { LiveGroup } from './group.js';
import { batches, type LiveSink } from './sink.js';

/** Events that are executed together for one who catches up. */
const STEP = 25;

/**
 * One subscriber of a group. It reads the log from its place by itself, as fast as its connection takes it, until it has everything;
 * then it is live, and the group hands it what happens.
 */
export class GroupMember {
  private over = false;
  private reading = false;

  constructor(
    private readonly watch: RoomWatch,
    private readonly group: LiveGroup,
    readonly sink: LiveSink,
  ) {
    group.add(this);
    if (!watch.isCaughtUp) counts.catchUps.begun_behind += 1;
    watch.onEnd((error) => this.end(error));
    this.readOn();
  }

  /** Who follows. */
  get userId(): string {
    return this.watch.userId;
  }

  /** Up to where it read by itself. */
  get seq(): number {
    return this.watch.seq;
  }

  /** All up to `place` was handed to it. */
  moveTo(place: LogHead): void {
    this.watch.moveTo(place);
  }

  readOn(): void {
    if (this.reading || this.over) return;
    this.reading = true;
    this.read().catch((error: unknown) => this.end(error));
  }

  private async read(): Promise<void> {
    while (!this.isOver()) {
      if (!this.sink.isReady) {
        await this.sink.ready();
      } else if (this.watch.hasMore) {
        await this.step();
      } else {
        // At once: what happens from here on is the group's to hand over.
        this.reading = false;
        this.group.join(this);
        return;
      }
    }
  }

  private async step(): Promise<void> {
    const events = (await this.watch.take()) ?? [];
    for (let i = 0; i < events.length; i += STEP) {
      const answers = await this.group.answers(events.slice(i, i + STEP));
      for (const { batch } of batches(answers)) {
        while (!this.sink.isReady && !this.isOver()) await this.sink.ready();
        if (this.isOver()) return;
        this.sink.send(batch);
        counts.deliveries += batch.answers.length;
      }
    }
  }

  /** It may end while something is awaited. */
  private isOver(): boolean {
    return this.over;
  }

  /** The server ends it. */
  end(error?: unknown): void {
    if (this.over) return;
    this.stop();
    this.sink.end(error);
  }

  /** The client ends it. */
  stop(): void {
    if (this.over) return;
    this.over = true;
    this.group.delete(this);
    this.watch.close();
  }
}
