import { setTimeout as pause } from 'node:timers/promises';
import { Client } from '../support/client.js';
import type { Follower } from './follower.js';
import type { Person } from './people.js';
import type { Random } from './random.js';

const REMOVE = `mutation ($input: RemoveMemberInput!) { removeMember(input: $input) { memberId } }`;
const ADD = `mutation ($input: AddMemberInput!) { addMember(input: $input) { member { id } } }`;

/** How long someone stays out at least: within it all of their subscriptions must have ended, on every process. */
const OUT_MS = 6000;

export interface Removal {
  readonly userId: string;
  readonly roomId: string;
  readonly removedAt: number;
  /** When the call was sent that took them back. Nothing after their removal may arrive before. */
  readonly takenBackAt: number;
  /** Milliseconds until the last of their subscriptions that could be told was told. */
  readonly toldAfter: number;
  /** Subscriptions that went on. */
  readonly untold: number;
}

/** An owner who removes members and takes them back, one at a time, until told to stop. */
export async function reshuffle(
  owner: Person,
  url: string,
  people: readonly Person[],
  followers: readonly Follower[],
  random: Random,
  stop: AbortSignal,
): Promise<Removal[]> {
  const removals: Removal[] = [];
  while (!stop.aborted) {
    await pause(random.between(500, 2500));
    const { userId } = random.pick(people);
    const theirs = followers.filter((follower) => follower.userId === userId);
    const { roomId } = random.pick(theirs);
    const affected = theirs.filter((follower) => follower.roomId === roomId);

    await insist(owner, url, REMOVE, { roomId, userId }, 'NOT_FOUND');
    const removedAt = Date.now();
    await pause(OUT_MS);
    const takenBackAt = Date.now();
    const told = affected.map(
      ({ forbiddenAt }) => forbiddenAt.find((at) => at > removedAt - 1000) ?? Infinity,
    );
    const untold = affected.filter(({ isLive }, i) => isLive && told[i] === Infinity).length;

    await insist(owner, url, ADD, { roomId, userId }, 'CONFLICT');
    for (const follower of affected) follower.lateSince = Date.now();
    removals.push({
      userId,
      roomId,
      removedAt,
      takenBackAt,
      toldAfter: Math.max(0, ...told.filter((at) => at !== Infinity).map((at) => at - removedAt)),
      untold,
    });
  }
  return removals;
}

/** Until it is acknowledged. `done`: the code by which a repeated call says so. */
async function insist(
  owner: Person,
  url: string,
  query: string,
  input: Record<string, unknown>,
  done: string,
): Promise<void> {
  for (;;) {
    try {
      const client = new Client(url, await owner.session.accessToken());
      const { errors } = await client.ask(query, { input });
      const code = errors[0]?.extensions['code'];
      if (code === undefined || code === done) return;
    } catch {
      // It is said again.
    }
    await pause(200);
  }
}
