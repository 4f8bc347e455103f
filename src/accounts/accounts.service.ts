import { createHmac } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { addressKey } from '../addresses.js';
import type { Config } from '../config/config.js';
import { transaction, type Database, type Trx } from '../db/database.js';
import { newId } from '../db/ids.js';
import { throughOutage } from '../db/outage.js';
import type { UserRow } from '../db/tables.js';
import { badInput, conflict, unauthenticated } from '../errors.js';
import { SESSIONS_TOPIC, type Bus, type SessionSignal } from '../events/bus.js';
import { nameKey } from '../names.js';
import * as queries from './accounts.queries.js';
import type { PublicUser } from './accounts.queries.js';
import { signInKey } from './email.js';
import type { Passwords } from './passwords.js';
import { AccountLimits } from './rate-limits.js';
import { whyWeak } from './weak-passwords.js';
import { hashRefresh, type Tokens } from './tokens.js';
import type { Cluster, Redis } from 'ioredis';

/** A family that is refreshed goes on for this long at most; then the user signs in again. */
const SESSION_MS = 90 * 24 * 3600 * 1000;
/** How long a spent refresh token still answers its successor although that was used too: tabs that refresh at once. */
const REUSE_GRACE_MS = 30_000;

/** Addresses that were remembered a short while ago need no statement: those of so many sign-ins, for so long. */
const REMEMBERED = { max: 10_000, ttl: 24 * 3600 * 1000 };

type AfterCommit = (effect: () => void) => void;

/** What a sign-in answers. */
export interface NewSession {
  readonly accessToken: string;
  readonly accessTokenExpiresAt: Date;
  readonly refreshToken: string;
  readonly refreshTokenExpiresAt: Date;
  readonly userId: string;
}

export interface AccountsDeps {
  readonly db: Database;
  readonly bus: Bus;
  readonly tokens: Tokens;
  readonly passwords: Passwords;
  /** Of the hashes of addresses. */
  readonly addressKey: Buffer;
  readonly redis: Redis | Cluster | undefined;
  readonly config: Pick<Config, 'rateLimits'>;
}

/** Sign-up, sign-in, refresh tokens and their families. */
export class AccountsService {
  private readonly limits: AccountLimits;
  private readonly remembered = new LRUCache<string, true>(REMEMBERED);

  constructor(private readonly deps: AccountsDeps) {
    this.limits = new AccountLimits(deps.config.rateLimits, deps.redis);
  }

  /** Throws BAD_USER_INPUT for a weak password, CONFLICT for an e-mail or handle that is taken, RATE_LIMITED for too many from one address. */
  async signUp(
    input: { email: string; password: string; handle: string; name: string },
    address: string,
  ): Promise<NewSession> {
    const weakness = await whyWeak(input.password, input);
    if (weakness !== undefined) throw badInput('input.password', weakness);
    const { passwords } = this.deps;
    const from = addressKey(address);
    const attempt = await this.limits.signUp(from);
    try {
      const passwordHash = await passwords.inTurn(
        from,
        () => Promise.resolve(input.password),
        (password) => passwords.hash(password),
      );
      // It counts, whatever becomes of it: it has cost a hash, and tells which e-mails and handles are taken.
      await attempt.count();
      return await this.startSession(await this.createUser(input, passwordHash), from);
    } finally {
      attempt.end();
    }
  }

  /** Throws UNAUTHENTICATED alike for an unknown e-mail and a wrong password, RATE_LIMITED for too many attempts. */
  async signIn(input: { email: string; password: string }, address: string): Promise<NewSession> {
    const { db, passwords } = this.deps;
    const email = signInKey(input.email);
    const from = addressKey(address);
    const attempt = await this.limits.signIn(from);
    try {
      const userId = await passwords.inTurn(
        from,
        async () => {
          const account = await queries.accountByEmail(db, email, this.hashOf(from));
          await attempt.at(email, account?.isKnown === true);
          return account;
        },
        async (account) =>
          (await passwords.verify(account?.password_hash, input.password)) ? account?.id : undefined,
      );
      if (userId === undefined) {
        await attempt.failed();
        throw unauthenticated('No account has this e-mail and password.');
      }
      await attempt.succeeded();
      return await this.startSession(userId, from);
    } finally {
      attempt.end();
    }
  }

  /**
   * Spends a refresh token for its successor. The same token again answers the same successor as long as that was never used, since the
   * answer may have been lost, and within the grace. Later it was stolen or replayed, and its whole family ends. Throws UNAUTHENTICATED.
   */
  async refresh(refreshToken: string, address: string): Promise<NewSession> {
    const from = addressKey(address);
    // Again after a lost answer, it is the same token again.
    const outcome = await throughOutage(() =>
      transaction(this.deps.db, async (trx, afterCommit) => {
        const hash = hashRefresh(refreshToken);
        const row = await queries.lockRefreshToken(trx, hash);
        if (row === undefined || row.isOver) return undefined;
        const successor = this.deps.tokens.successorOf(refreshToken);
        const isLate = row.usedMsAgo !== null && row.usedMsAgo > REUSE_GRACE_MS;
        if (isLate && !(await queries.isUnused(trx, hashRefresh(successor)))) {
          await queries.endSession(trx, row.sessionId);
          afterCommit(() => {
            this.tellEnded(row.sessionId);
          });
          return undefined;
        }
        if (row.usedMsAgo === null) {
          await queries.spendRefreshToken(trx, hash);
          await queries.insertRefreshToken(trx, row.sessionId, hashRefresh(successor));
          await this.rememberAddress(trx, afterCommit, row.userId, from);
        }
        return this.session(row.userId, row.sessionId, successor, row.expiresAt);
      }),
    );
    if (outcome === undefined)
      throw unauthenticated('This refresh token has been used, has expired or is unknown: sign in again.');
    return outcome;
  }

  /** Ends the token's family and its sockets everywhere. Answers the user. Throws UNAUTHENTICATED for an unknown token. */
  async signOut(refreshToken: string): Promise<string> {
    return throughOutage(() =>
      transaction(this.deps.db, async (trx, afterCommit) => {
        const row = await queries.lockRefreshToken(trx, hashRefresh(refreshToken));
        if (row === undefined) throw unauthenticated('This refresh token is unknown.');
        await queries.endSession(trx, row.sessionId);
        afterCommit(() => {
          this.tellEnded(row.sessionId);
        });
        return row.userId;
      }),
    );
  }

  /** Which of these sign-ins go on: the others' sockets are to be closed. */
  liveSessions(ids: readonly string[]): Promise<Set<string>> {
    return queries.liveSessions(this.deps.db, ids);
  }

  users(ids: readonly string[]): Promise<(PublicUser | undefined)[]> {
    return queries.usersByIds(this.deps.db, ids);
  }

  userByHandle(handle: string): Promise<PublicUser | undefined> {
    return queries.userByHandle(this.deps.db, nameKey(handle));
  }

  account(id: string): Promise<UserRow | undefined> {
    return queries.accountById(this.deps.db, id);
  }

  /** Answers the id of the new user. Throws CONFLICT. */
  private async createUser(
    input: { email: string; handle: string; name: string },
    passwordHash: string,
  ): Promise<string> {
    const email = signInKey(input.email);
    const id = newId();
    await throughOutage(async (attempt) => {
      const user = await queries.insertUser(this.deps.db, {
        id,
        email,
        handle: input.handle,
        name: input.name,
        password_hash: passwordHash,
        issuer: null,
        subject: null,
      });
      if (user !== undefined) return;
      // The attempt before may have done it, and its answer be lost.
      if (attempt > 0 && (await queries.accountById(this.deps.db, id)) !== undefined) return;
      const taken = await queries.takenBy(this.deps.db, email);
      throw conflict(
        `input.${taken}`,
        taken === 'email'
          ? 'This e-mail address already has an account: sign in instead.'
          : 'This handle is taken.',
      );
    });
    return id;
  }

  /** A device that is used from here, be it by a refresh, is not locked out here by others' guessing (rate-limits.ts). */
  private async rememberAddress(
    trx: Trx,
    afterCommit: AfterCommit,
    userId: string,
    from: string,
  ): Promise<void> {
    const address = this.hashOf(from);
    const key = `${userId} ${address}`;
    if (this.remembered.has(key)) return;
    await queries.rememberAddress(trx, userId, address);
    afterCommit(() => {
      this.remembered.set(key, true);
    });
  }

  private hashOf(from: string): string {
    return createHmac('sha256', this.deps.addressKey).update(from).digest('base64url');
  }

  private async startSession(userId: string, from: string): Promise<NewSession> {
    // A session whose answer was lost is of no use to anyone, and runs out.
    return throughOutage(async () => {
      const sessionId = newId();
      const refreshToken = this.deps.tokens.newRefresh();
      const expiresAt = await transaction(this.deps.db, async (trx, afterCommit) => {
        const end = await queries.insertSession(trx, { id: sessionId, userId, ms: SESSION_MS });
        await queries.insertRefreshToken(trx, sessionId, hashRefresh(refreshToken));
        await this.rememberAddress(trx, afterCommit, userId, from);
        return end;
      });
      return this.session(userId, sessionId, refreshToken, expiresAt);
    });
  }

  private session(
    userId: string,
    sessionId: string,
    refreshToken: string,
    refreshTokenExpiresAt: Date,
  ): NewSession {
    const access = this.deps.tokens.signAccess(userId, sessionId);
    return {
      accessToken: access.token,
      accessTokenExpiresAt: access.expiresAt,
      refreshToken,
      refreshTokenExpiresAt,
      userId,
    };
  }

  private tellEnded(sessionId: string): void {
    const signal: SessionSignal = { sessionId };
    this.deps.bus.publish(SESSIONS_TOPIC, signal);
  }
}
