import type pg from 'pg';
import { inTime } from '../async/timeout.js';
import { MortalClient } from './watched-client.js';

/** Milliseconds to connect, and to answer. */
const PING_MS = 2000;

/** Asks the database whether it answers and can be written to, over a connection of its own: however busy the others are. */
export class Ping {
  private client: pg.Client | undefined;

  /** `renew` is called where other connections may lead to the same dead end. */
  constructor(
    private readonly config: pg.ClientConfig,
    private readonly renew: () => void,
  ) {}

  /** Rejects when the database does not answer in time, or takes no writes. One call at a time. */
  async check(): Promise<void> {
    try {
      this.client ??= await this.connect();
      if (await isReadOnly(this.client)) throw new Error('the database is read-only: perhaps a standby');
    } catch (error) {
      const { client } = this;
      this.client = undefined;
      void client?.end().catch(() => undefined);
      // A new connection may well lead to another server.
      if (client !== undefined) this.renew();
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.client?.end().catch(() => undefined);
  }

  private async connect(): Promise<pg.Client> {
    const client = new MortalClient({ ...this.config, connectionTimeoutMillis: PING_MS });
    client.on('error', () => {
      if (this.client === client) this.client = undefined;
    });
    await client.connect();
    return client;
  }
}

/** A standby is, and so is a primary that was demoted. */
async function isReadOnly(client: pg.Client): Promise<boolean> {
  const asked = client.query<{ isReadOnly: boolean }>(
    `select current_setting('transaction_read_only') = 'on' as "isReadOnly"`,
  );
  const { rows } = await inTime(asked, PING_MS, 'the database does not answer');
  return rows[0]?.isReadOnly === true;
}
