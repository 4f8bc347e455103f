/** Something with work that waits, such as a socket whose client sent much at once. */
export interface Backlog {
  /** Does the next piece of it. Returns whether more is left. */
  workOff(): boolean;
}

/** Milliseconds of work on backlogs before others have their turn. */
const SLICE_MS = 4;
/** Pieces in one turn of the loop: an operation that needs nothing else is over by the next one, and makes room on its socket. */
const SLICE_PIECES = 50;

/**
 * Shares the event loop of a process between the backlogs of its sockets and everything else. Backlogs
 * take turns, a piece each. After a slice of work, as much time again is left to others: however much
 * is sent at once, it takes half of the time at most.
 */
export class SocketTurns {
  private readonly waiting = new Set<Backlog>();
  private readonly resting: (() => void)[] = [];
  private turn = 0;
  private isCounting = false;
  private isWorking = false;

  /** A number that differs from turn to turn of the event loop. */
  current(): number {
    if (!this.isCounting) {
      this.isCounting = true;
      setImmediate(() => {
        this.isCounting = false;
        this.turn += 1;
      });
    }
    return this.turn;
  }

  /** Calls `goOn` in a later turn of the event loop, one such call in each: what takes no turn of its own is read so where there is much of it. */
  rest(goOn: () => void): void {
    if (this.resting.push(goOn) === 1) setImmediate(this.wakeOne);
  }

  private readonly wakeOne = (): void => {
    this.resting.shift()?.();
    if (this.resting.length > 0) setImmediate(this.wakeOne);
  };

  /** Has a backlog worked off, if it is not waiting already. */
  add(backlog: Backlog): void {
    this.waiting.add(backlog);
    if (!this.isWorking) this.work();
  }

  private work(): void {
    this.isWorking = true;
    let begun = 0;
    setImmediate(() => {
      begun = performance.now();
      let pieces = 0;
      for (const backlog of this.waiting) {
        // Added again, it stands at the end.
        this.waiting.delete(backlog);
        if (backlog.workOff()) this.waiting.add(backlog);
        pieces += 1;
        if (pieces >= SLICE_PIECES || performance.now() - begun >= SLICE_MS) break;
      }
    });
    // Right behind it, and behind what follows from it at once: the work of others is not counted.
    setImmediate(() => {
      const spent = performance.now() - begun;
      this.isWorking = this.waiting.size > 0;
      if (!this.isWorking) return;
      if (spent < 1) this.work();
      else setTimeout(() => this.work(), spent);
    });
  }
}
