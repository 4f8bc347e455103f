import { patience } from '../network/reader-watch.js';

/** Turns from one beat of a socket to the next. */
const TURNS = 12;
/** A turn that is so many turns late tells nothing about the sockets. */
const STOOD_STILL = 3;

/** What is looked after. */
export interface Beating {
  /** When it must be looked at next, by `performance.now()`, beside its beats; Infinity for never. */
  readonly dueAt: number;
  /** `dueAt` has come. */
  due(): void;
  /** Called each 12 seconds (`patience.pingMs`). */
  beat(): void;
}

/**
 * Looks after every socket of a process by one timer: two or three for each of them would take a tenth of the memory that a socket
 * costs. Beats are spread over their turns, so that not all are pinged at once.
 */
export class Heartbeats {
  /** Those whose beat falls on one turn. */
  private readonly turns = Array.from({ length: TURNS }, () => new Set<Beating>());
  private turn = 0;
  private turnedAt = 0;
  private readonly turnMs = patience.pingMs / TURNS;
  private timer: NodeJS.Timeout | undefined;
  private size = 0;

  /** Answers the place to `delete` it from. */
  add(beating: Beating): number {
    const place = this.size % TURNS;
    this.turns[place]?.add(beating);
    this.size += 1;
    if (this.timer === undefined) {
      this.turnedAt = performance.now();
      this.timer = setInterval(() => this.next(), this.turnMs);
      this.timer.unref();
    }
    return place;
  }

  delete(beating: Beating, place: number): void {
    if (this.turns[place]?.delete(beating) !== true) return;
    this.size -= 1;
    if (this.size > 0) return;
    clearInterval(this.timer);
    this.timer = undefined;
  }

  private next(): void {
    const now = performance.now();
    const late = now - this.turnedAt;
    this.turnedAt = now;
    // This process stood still itself. What arrived meanwhile is read before the next turn.
    if (late > STOOD_STILL * this.turnMs) return;
    this.turn = (this.turn + 1) % TURNS;
    const soon = performance.now() + this.turnMs;
    for (const [place, members] of this.turns.entries()) {
      for (const one of members) {
        if (one.dueAt <= soon) this.look(one);
        if (place === this.turn) one.beat();
      }
    }
  }

  /** To the millisecond, and not at the next turn. */
  private look(one: Beating): void {
    const { dueAt } = one;
    setTimeout(
      () => {
        // It may have been put off meanwhile.
        if (one.dueAt === dueAt) one.due();
      },
      Math.max(dueAt - performance.now(), 0),
    ).unref();
  }
}
