import type { Socket } from 'node:net';
import pg from 'pg';
import type { SilenceWatch } from '../async/silence-watch.js';
import { SilenceError } from '../async/timeout.js';

/** Milliseconds for the server to close its end, once it was told goodbye. */
const GOODBYE_MS = 2000;

/** What pg 8 has of a connection without saying so in its types; test/integration/silent-postgres.test.ts relies on it. */
interface Internals {
  /** False while a statement is unanswered; undefined before the first one. */
  readonly readyForQuery?: boolean;
  readonly connection: { readonly stream: Socket };
}

const internals = (client: pg.ClientBase): Internals => client as unknown as Internals;

/** Whether it waits for an answer. */
const isWaiting = (client: pg.ClientBase): boolean => internals(client).readyForQuery === false;

/** Breaks the connection: what waits for it fails with `reason`, an outage. */
export function breakConnection(client: pg.ClientBase, reason: string): void {
  internals(client).connection.stream.destroy(new SilenceError(reason));
}

/** A connection that is closed even if the server does not answer the goodbye. */
export class MortalClient extends pg.Client {
  override end = ((done?: () => void): unknown => {
    const arm = (): void => {
      const timer = setTimeout(() => internals(this).connection.stream.destroy(), GOODBYE_MS).unref();
      this.once('end', () => clearTimeout(timer));
    };
    // A pipeline says goodbye once everything is answered.
    if (isWaiting(this)) this.once('drain', arm);
    else arm();
    const end = super.end.bind(this) as (done?: () => void) => unknown;
    return end(done);
  }) as pg.Client['end'];
}

/** Breaks a connection that leaves a statement without an answer for the watch's limit, and calls `onSilent` before. */
export function watchClient(watch: SilenceWatch, client: pg.ClientBase, onSilent: () => void): void {
  const stop = watch.add({
    received: () => (isWaiting(client) ? internals(client).connection.stream.bytesRead : undefined),
    silent: () => {
      onSilent();
      breakConnection(client, 'the database left a statement without an answer');
    },
  });
  client.once('end', stop);
}
