import { addressKey } from '../addresses.js';

/** Milliseconds for which one that has not said who it is keeps its place, when another one needs it. */
const GRACE_MS = 1000;

/** A socket that is not signed in. */
export interface Guest {
  /** Its client's address. */
  readonly address: string;
  /** Lets it go, since its place is needed. */
  giveWay(): void;
}

export interface GuestLimits {
  /** Sockets that a process carries, whoever they belong to. */
  readonly limit: number;
  /** Those that have said that they are not signed in. */
  readonly signedOut: number;
  /** Those that are not signed in, of one address, whether they have said so or not. */
  readonly perAddress: number;
}

interface Stay {
  readonly key: string;
  readonly since: number;
  hasSaidSo: boolean;
}

/**
 * The sockets of a process that are not signed in, or have not said yet that they are. They may not take the places of those that are:
 * few of one address are let in, few may stay, and of those that say nothing the oldest gives way when every place is taken.
 */
export class Guests {
  /** The oldest first. */
  private readonly stays = new Map<Guest, Stay>();
  private readonly byAddress = new Map<string, number>();
  private staying = 0;

  constructor(private readonly limits: GuestLimits) {}

  /** Lets in a socket that is one of `size` then. False where it has to come back later. */
  enter(guest: Guest, size: number): boolean {
    const key = addressKey(guest.address);
    const ofAddress = this.byAddress.get(key) ?? 0;
    if (ofAddress >= this.limits.perAddress) return false;
    if (size > this.limits.limit && !this.makeRoom()) return false;
    this.stays.set(guest, { key, since: performance.now(), hasSaidSo: false });
    this.byAddress.set(key, ofAddress + 1);
    return true;
  }

  /** It is not signed in. False where it has to come back later. */
  stay(guest: Guest): boolean {
    const stay = this.stays.get(guest);
    if (stay === undefined) return true;
    if (this.staying >= this.limits.signedOut) return false;
    stay.hasSaidSo = true;
    this.staying += 1;
    return true;
  }

  /** It is signed in, or gone. */
  leave(guest: Guest): void {
    const stay = this.stays.get(guest);
    if (stay === undefined) return;
    this.stays.delete(guest);
    if (stay.hasSaidSo) this.staying -= 1;
    const ofAddress = (this.byAddress.get(stay.key) ?? 1) - 1;
    if (ofAddress === 0) this.byAddress.delete(stay.key);
    else this.byAddress.set(stay.key, ofAddress);
  }

  /** A client that means to sign in says so within a second, or comes back. */
  private makeRoom(): boolean {
    const before = performance.now() - GRACE_MS;
    for (const [guest, { since, hasSaidSo }] of this.stays) {
      if (since > before) return false;
      if (hasSaidSo) continue;
      this.leave(guest);
      guest.giveWay();
      return true;
    }
    return false;
  }
}
