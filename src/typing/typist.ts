import type { Now } from '../db/clock.js';
import { SILENCE_MS } from './room-typing.js';

/** While someone goes on typing, the room is told this often at most. */
const REPEAT_MS = 2000;
/** Changes that are told at once after a rest, and milliseconds for one of them to come back. */
const CHANGES = 4;
const CHANGE_MS = 1000;

/** Tells the room: `expiresAt` is when the typist falls silent, in milliseconds since the epoch, 0 where they stopped. */
type Tell = (typing: boolean, expiresAt: number) => void;

/**
 * Someone who types in a room, as one process is told of it. What they say often is told seldom: of changes that come too fast, the
 * last one is told as soon as there is room for it.
 */
export class Typist {
  private changes = CHANGES;
  private countedAt: number;
  private told: { readonly typing: boolean; readonly at: number } | undefined;
  /** What is to be told once there is room for it. */
  private later: { typing: boolean; heardAt: number } | undefined;

  /** `now`: the database's clock, which all processes go by. */
  constructor(
    private readonly tell: Tell,
    private readonly now: Now = Date.now,
  ) {
    this.countedAt = now();
  }

  /** Answers when the typist falls silent unless they are heard of again; null where they stopped. */
  say(typing: boolean): Date | null {
    const now = this.now();
    if (this.later !== undefined) {
      this.later.typing = typing;
      this.later.heardAt = now;
    } else if (typing && this.isFresh(now)) {
      return new Date((this.told?.at ?? now) + SILENCE_MS);
    } else if (this.mayChange(now)) {
      this.tellNow(typing, now, now);
    } else {
      this.later = { typing, heardAt: now };
      setTimeout(() => this.catchUp(), this.countedAt + CHANGE_MS - now).unref();
    }
    return typing ? new Date(now + SILENCE_MS) : null;
  }

  /** Whether nothing is left to know of them: they fell silent, as the room was told. */
  isForgotten(now: number): boolean {
    return this.later === undefined && now - (this.told?.at ?? 0) >= SILENCE_MS;
  }

  private catchUp(): void {
    const { later } = this;
    if (later === undefined) return;
    this.later = undefined;
    const now = this.now();
    if (later.typing && this.isFresh(now)) return;
    this.mayChange(now);
    this.tellNow(later.typing, now, later.heardAt);
  }

  /** Whether the room was just told that they type. */
  private isFresh(now: number): boolean {
    return this.told?.typing === true && now - this.told.at < REPEAT_MS;
  }

  private mayChange(now: number): boolean {
    const back = Math.floor((now - this.countedAt) / CHANGE_MS);
    this.changes = Math.min(CHANGES, this.changes + back);
    this.countedAt = this.changes === CHANGES ? now : this.countedAt + back * CHANGE_MS;
    if (this.changes === 0) return false;
    this.changes -= 1;
    return true;
  }

  private tellNow(typing: boolean, now: number, heardAt: number): void {
    this.told = { typing, at: now };
    this.tell(typing, typing ? heardAt + SILENCE_MS : 0);
  }
}
