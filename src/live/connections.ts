import { SESSIONS_TOPIC, type Bus, type SessionSignal } from '../events/bus.js';
import type { Logger } from '../observability/logger.js';
import type { Viewer } from '../viewer.js';

/** Milliseconds between looks whether the sign-ins of open connections go on: what a lost signal costs at most. */
const CHECK_MS = 3000;

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
  }

  delete(connection: LiveConnection): void {
    this.connections.delete(connection);
  }

  /** Whether the viewer's sign-in goes on; one without a session (identity provider) has none that could end. */
  async isLive({ sessionId }: Viewer): Promise<boolean> {
    return sessionId === undefined || (await this.deps.liveSessions([sessionId])).has(sessionId);
  }

  /** Lets everyone go. */
  close(): void {
    clearInterval(this.checking);
    for (const connection of this.connections) connection.restart();
  }

  private async check(): Promise<void> {
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
  }

  private expire(isEnded: (connection: LiveConnection) => boolean): void {
    for (const connection of this.connections) if (isEnded(connection)) connection.expire();
  }
}
