import { isOutage, isStatementTimeout } from '../db/outage.js';
import { ParleyError } from '../errors.js';
import { tracing, type SpanOptions } from '../observability/tracing.js';
import { postBatch, type Posted, type PostingDeps } from './post-batch.js';
import type { Post } from './post-decisions.js';
import { WrittenRooms } from './written-rooms.js';

/** Posts in one batch, so that none waits for a great many others to be written. */
const BATCH = 64;

interface Waiting {
  readonly post: Post;
  readonly resolve: (posted: Posted) => void;
  readonly reject: (reason: unknown) => void;
  /** The trace that it is part of; while tracing is on. */
  readonly traceparent: string | undefined;
}

/** The posts of one room while a batch of it is under way. */
interface Line {
  readonly waiting: Waiting[];
  /** Somebody else writes in the room: the lock costs less than coming too late. */
  locked: boolean;
}

/**
 * Gathers the posts of this process by their rooms: of each room one batch is under way at a time, and what arrives meanwhile goes
 * together in the next. A post to a room where none is under way begins at once, so nobody waits for company.
 */
export class Posting {
  private readonly lines = new Map<string, Line>();
  private readonly written = new WrittenRooms();

  constructor(private readonly deps: PostingDeps) {}

  /** In each room in the order of the calls. Rejects with this post's own failure, or with an outage that stopped its batch. */
  post(post: Post): Promise<Posted> {
    const { roomId } = post.input;
    return new Promise((resolve, reject) => {
      const waiting = { post, resolve, reject, traceparent: tracing?.current() };
      const line = this.lines.get(roomId);
      if (line !== undefined) {
        line.waiting.push(waiting);
        return;
      }
      const begun: Line = { waiting: [waiting], locked: false };
      this.lines.set(roomId, begun);
      void this.work(roomId, begun);
    });
  }

  private async work(roomId: string, line: Line): Promise<void> {
    let most = BATCH;
    while (line.waiting.length > 0) {
      const batch = line.waiting.splice(0, most);
      most = BATCH;
      try {
        await this.write(roomId, line, batch);
      } catch (error) {
        // A no-op for those that are settled.
        for (const { reject } of batch) reject(error);
        // Those who stood behind it have waited through the outage as well: whatever is left of it they wait through together.
        most = Infinity;
      }
    }
    this.lines.delete(roomId);
  }

  /** Settles each of them. Throws an outage, with some of them unsettled. */
  private async write(roomId: string, line: Line, batch: readonly Waiting[]): Promise<void> {
    try {
      const posts = batch.map(({ post }) => post);
      const post = () => postBatch(this.deps, this.written, roomId, posts, line.locked);
      const { outcomes, locked } = await (tracing === undefined ? post() : tracing.span(spanOf(batch), post));
      line.locked = locked;
      for (const [i, { resolve, reject }] of batch.entries()) {
        const outcome = outcomes[i];
        if (outcome === undefined || outcome instanceof ParleyError) reject(outcome);
        else resolve(outcome);
      }
    } catch (error) {
      if (isOutage(error) && !isStatementTimeout(error)) throw error;
      const [only, ...others] = batch;
      if (others.length === 0) only?.reject(error);
      // Alone, each of them could take as long.
      else if (isStatementTimeout(error)) for (const { reject } of batch) reject(error);
      // It was undone, and one of them did it: alone, the others pass.
      else for (const one of batch) await this.write(roomId, line, [one]);
    }
  }
}

/** In the trace of the first, for the others as well. */
const spanOf = ([first, ...others]: readonly Waiting[]): SpanOptions => ({
  name: 'post batch',
  parent: first?.traceparent,
  links: others.map(({ traceparent }) => traceparent),
});
