import { setTimeout as pause } from 'node:timers/promises';

/** One server, or several as one, that leaves step by step. */
export interface Leaver {
  /** Serves on, but each answer closes its connection. */
  retire(): void;
  /** Resolves when no new connection is taken. */
  close(): Promise<void>;
  /** Lets everyone go. Resolves when nothing is under way any more. */
  drain(): Promise<void>;
}

/**
 * How servers leave, so that a client comes back once at most and nothing under way is lost:
 * 1. _retire_: whoever asks for readiness is told; pools of connections empty themselves while everything is still served;
 * 2. wait `ms`, which a balancer takes to notice;
 * 3. _close_: all of them, before anyone is let go. A client that is let go must not come to one that is about to leave too;
 * 4. _drain_: subscribers are let go, one after the other, and requests under way finish.
 */
export async function leave(server: Leaver, ms: number): Promise<void> {
  server.retire();
  await pause(ms);
  await server.close();
  await server.drain();
}
