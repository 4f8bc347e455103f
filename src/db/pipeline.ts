import { Socket } from 'node:net';
import type pg from 'pg';
import type { SilenceWatch } from '../async/silence-watch.js';
import type { Logger } from '../observability/logger.js';
import type { StatementLimits } from './limits.js';
import { prepareSession } from './session.js';
import { MortalClient, watchClient } from './watched-client.js';

/** Statements that may be under way on one connection: whoever comes then is answered sooner beside them. */
const MOST = 32;
/** Milliseconds without an answer after which a statement holds up those behind it. */
const SLOW_MS = 10;
/** Milliseconds without use after which a connection may be gone without a word: it is made anew. */
const IDLE_MS = 30_000;
/** Milliseconds for a new connection to take its settings. */
const SETTINGS_MS = 5000;
/** Milliseconds from one attempt to connect to the next. */
const RETRY_MS = 1000;

/**
 * One connection that many share in Postgres's pipeline mode: a statement is sent while others before it are under way, and they are answered
 * in order. What is sent in one turn of the event loop leaves in one write, since each write wakes a process of Postgres. It has no
 * transactions, and is for statements that are quick: each waits for those before it.
 * https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-PIPELINING
 */
export class Pipeline {
  private client: pg.Client | undefined;
  private stream = new Socket();
  private underWay = 0;
  /** When it last had nothing to do, or answered; when it was used; and when it tried to connect. By `performance.now()`. */
  private movedAt = -Infinity;
  private usedAt = -Infinity;
  private triedAt = -Infinity;
  private corked = false;
  private ended = false;

  /** A connection that falls silent is broken, and `onSilent` called. */
  constructor(
    private readonly config: pg.ClientConfig,
    private readonly limits: StatementLimits,
    private readonly watch: SilenceWatch,
    private readonly onSilent: () => void,
    private readonly logger: Logger,
  ) {}

  get isConnected(): boolean {
    return this.client !== undefined;
  }

  /** How many statements are under way; Infinity where one more would have to wait for long, or there is no connection: then it is made. */
  load(): number {
    const now = performance.now();
    if (this.client !== undefined && this.underWay === 0 && now - this.usedAt > IDLE_MS) void this.leave();
    if (this.client === undefined) {
      this.connect(now);
      return Infinity;
    }
    const isSlow = this.underWay > 0 && now - this.movedAt > SLOW_MS;
    return isSlow || this.underWay >= MOST ? Infinity : this.underWay;
  }

  /** Only where `load` is finite. Rejects with Postgres's error, and as an outage (outage.ts) when the connection is lost. */
  async query<Row extends pg.QueryResultRow>(statement: pg.QueryConfig): Promise<pg.QueryResult<Row>> {
    const { client } = this;
    if (client === undefined) throw new Error('a pipeline was used before it was asked');
    this.gather();
    this.usedAt = performance.now();
    if (this.underWay === 0) this.movedAt = this.usedAt;
    this.underWay += 1;
    try {
      return await client.query<Row>(statement);
    } finally {
      this.underWay -= 1;
      this.movedAt = performance.now();
    }
  }

  /** Lets what is under way be answered, and takes a new connection for what comes: statements are prepared anew there. */
  renew(): void {
    void this.leave();
  }

  /** Lets what is under way be answered, and closes the connection. */
  async end(): Promise<void> {
    this.ended = true;
    await this.leave();
  }

  private connect(now: number): void {
    if (this.ended || now - this.triedAt < RETRY_MS) return;
    this.triedAt = now;
    const stream = new Socket();
    const client = new MortalClient({ ...this.config, pipeline: true, stream: () => stream });
    const lost = (reason: string): void => {
      if (this.client === client) this.client = undefined;
      this.logger.debug({ reason }, 'database: a shared connection ended');
    };
    client.on('error', ({ message }) => lost(message));
    client.on('end', () => lost('closed'));
    this.begin(client).then(
      () => {
        if (this.ended) return client.end();
        this.stream = stream;
        this.client = client;
        this.usedAt = performance.now();
        return undefined;
      },
      (error: unknown) => {
        lost(String(error));
        return client.end();
      },
    );
  }

  private async begin(client: pg.Client): Promise<void> {
    await client.connect();
    watchClient(this.watch, client, this.onSilent);
    await prepareSession(client, this.limits, SETTINGS_MS);
  }

  private async leave(): Promise<void> {
    const { client } = this;
    this.client = undefined;
    // One that is broken has ended already.
    await client?.end().catch(() => undefined);
  }

  /** Holds back what is written until the turn of the event loop ends. */
  private gather(): void {
    if (this.corked) return;
    this.corked = true;
    const { stream } = this;
    stream.cork();
    setImmediate(() => {
      this.corked = false;
      stream.uncork();
    });
  }
}
