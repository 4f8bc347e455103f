import { singleFlight } from '../async/single-flight.js';
import { SESSIONS_TOPIC, type Bus, type SessionSignal } from '../events/bus.js';
import type { Logger } from '../observability/logger.js';
import type { Viewer } from '../viewer.js';

/** Milliseconds between looks whether the sign-ins of open connections go on: what a lost signal costs at most. */
const CHECK_MS = 3000;

/**
 * Milliseconds between two who are let go when the server stops. Everyone comes back at once, and to be connected again, catch-up
 * included, costs a core about this much: so those who take them over are busy meanwhile, and not swamped.
 */
const SPACING_MS = 4;
/** Milliseconds within which everyone is let go, however many there are: half a minute is all there is for the rest as well. */
const SPREAD_MS = 10_000;
/** Milliseconds between two looks who is due. */
const TURN_MS = 20;

/** A client that stays connected, by whatever transport. */
export interface LiveConnection {
  /** Undefined while signed out. */
  readonly viewer: Viewer | undefined;
  /** Its token has run out, or its sign-in was ended: it may come back with a fresh one. */
  expire(): void;
  /** The server restarts: it may come back at once. */
  restart(): void;
}

export interface ConnectionsDeps {
  readonly bus: Bus;
  readonly logger: Logger;
  /** Which of these sign-ins go on. */
  readonly liveSessions: (ids: readonly string[]) => Promise<Set<string>>;
}

/** Everyone who is connected to this process: let go when their sign-in ends anywhere, and when the server stops. */
export class LiveConnections {
  private readonly connections = new Set<LiveConnection>();
  private readonly checking: NodeJS.Timeout;
  private isLeaving = false;
  /** One at a time: with many who are signed in, and a slow database, one may take longer than the time between two. */
  private readonly check = singleFlight(async (): Promise<void> => {
    const ids = new Set([...this.connections].flatMap(({ viewer }) => viewer?.sessionId ?? []));
    if (ids.size === 0) return;
    try {
      const live = await this.deps.liveSessions([...ids]);
      this.expire(
        ({ viewer }) =>
          viewer?.sessionId !== undefined && ids.has(viewer.sessionId) && !live.has(viewer.sessionId),
      );
    } catch (err) {
      this.deps.logger.warn({ err }, 'the sign-ins of open connections could not be checked');
    }
  });

  constructor(private readonly deps: ConnectionsDeps) {
    deps.bus
      .subscribe(SESSIONS_TOPIC, (signal) => {
        this.expire(({ viewer }) => viewer?.sessionId === (signal as SessionSignal).sessionId);
      })
      .catch((err: unknown) => {
        deps.logger.warn({ err }, 'the bus refused a subscription; the checks will do');
      });
    deps.bus.onReconnect(() => void this.check());
    this.checking = setInterval(() => void this.check(), CHECK_MS);
    this.checking.unref();
  }

  add(connection: LiveConnection): void {
    this.connections.add(connection);
    // It came by a connection that was there before. Whoever adds it has yet to open it.
    if (this.isLeaving) setImmediate(() => connection.restart());
  }

  delete(connection: LiveConnection): void {
    this.connections.delete(connection);
  }

  /** Whether the viewer's sign-in goes on; one without a session (identity provider) has none that could end. */
  async isLive({ sessionId }: Viewer): Promise<boolean> {
    return sessionId === undefined || (await this.deps.liveSessions([sessionId])).has(sessionId);
  }

  /**
   * Lets everyone go, in random order and evenly spread over a time that grows with their number, up to ten seconds: a few are gone
   * at once. Resolves when the last was told. Sign-ins are looked after until then.
   */
  async letGo(): Promise<void> {
    this.isLeaving = true;
    const leaving = shuffled([...this.connections]);
    const spread = Math.min(leaving.length * SPACING_MS, SPREAD_MS);
    const begun = performance.now();
    let told = 0;
    const tellThoseDue = (): boolean => {
      const due = spread <= TURN_MS ? 1 : Math.min(1, (performance.now() - begun) / spread);
      for (; told < Math.floor(due * leaving.length); told += 1) {
        const connection = leaving[told];
        if (connection !== undefined && this.connections.has(connection)) connection.restart();
      }
      return told === leaving.length || this.connections.size === 0;
    };
    if (!tellThoseDue()) {
      await new Promise<void>((resolve) => {
        const turns = setInterval(() => {
          if (!tellThoseDue()) return;
          clearInterval(turns);
          resolve();
        }, TURN_MS);
      });
    }
    clearInterval(this.checking);
  }

  private expire(isEnded: (connection: LiveConnection) => boolean): void {
    for (const connection of this.connections) if (isEnded(connection)) connection.expire();
  }
}

/** Fisher and Yates's shuffle. */
function shuffled<T>(items: T[]): T[] {
  for (let i = items.length - 1; i > 0; i -= 1) {
    const j = Math.floor(Math.random() * (i + 1));
    [items[i], items[j]] = [items[j] as T, items[i] as T];
  }
  return items;
}
