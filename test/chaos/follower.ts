import { setTimeout as pause } from 'node:timers/promises';
import { decodeEventCursor } from '../../src/events/event-cursor.js';
import type { Random } from './random.js';
import type { End, Subscribe, TransportKind } from './transports.js';

/** What most clients select: what it takes to resume. */
export const THIN = `subscription Follow($roomId: ID!, $after: String) {
  roomEvents(roomId: $roomId, after: $after) { __typename cursor at } }`;

/** What a screen selects. */
export const THICK = `subscription Follow($roomId: ID!, $after: String) {
  roomEvents(roomId: $roomId, after: $after) {
    __typename cursor at actor { id handle }
    ... on MessageAdded { message { id body author { handle } } }
    ... on MessageEdited { message { id body } }
    ... on MessageDeleted { message { id deletedAt } }
    ... on FileAdded { fileId file { name size } }
    ... on FileDeleted { fileId }
    ... on MemberLeft { memberId }
  } }`;

/** Ends after which a client that resumes comes back by itself. */
const TRANSIENT = new Set([
  'lost',
  'UNAVAILABLE',
  'UNAUTHENTICATED',
  // A connection that broke, a server that stops, one that is not ready, a token that has run out.
  'closed 1006',
  'closed 1012',
  'closed 1013',
  'closed 4403',
]);

/** One subscription of one client to one room, and everything that it was sent. */
export class Follower {
  readonly seqs: number[] = [];
  readonly tags: string[] = [];
  readonly kinds: string[] = [];
  /** Milliseconds since the epoch, for each of them. */
  readonly arrivals: number[] = [];
  /** What must not happen, in words, and how often it did. */
  readonly oddities = new Map<string, number>();
  readonly ends = new Map<string, number>();
  /** Each time it was told that it is no member. */
  readonly forbiddenAt: number[] = [];
  isLive = false;
  /** Lateness of events that were committed before this is not the server's: the client was out of the room. */
  lateSince = 0;
  private session = 0;
  private stopSubscription: () => void = () => undefined;
  private stopped = false;

  constructor(
    readonly client: string,
    readonly kind: TransportKind,
    readonly userId: string,
    readonly roomId: string,
    private cursor: string,
    private readonly query: string,
    private readonly subscribe: Subscribe,
    private readonly random: Random,
    private readonly onDelivery: (follower: Follower, at: number, arrival: number) => void,
  ) {
    this.startSeq = decodeEventCursor(cursor)?.seq ?? 0;
    this.begin();
  }

  readonly startSeq: number;

  get lastSeq(): number {
    return this.seqs.at(-1) ?? this.startSeq;
  }

  stop(): void {
    this.stopped = true;
    this.session += 1;
    this.stopSubscription();
  }

  private begin(): void {
    this.session += 1;
    const { session } = this;
    this.stopSubscription = this.subscribe(this.query, this.roomId, this.cursor, {
      next: ({ data, errors }, id) => {
        if (session !== this.session) return;
        if (errors !== undefined) this.odd('an event with errors');
        this.take(data.roomEvents, id);
      },
      ended: (how) => {
        if (session !== this.session) return;
        // Some clients say more than once that it is over.
        this.session += 1;
        void this.again(how);
      },
    });
  }

  private take(event: { __typename: string; cursor: string; at: string }, id: string | undefined): void {
    const arrival = Date.now();
    this.isLive = true;
    const place = decodeEventCursor(event.cursor);
    if (place === undefined) {
      this.odd('a cursor that is none');
      return;
    }
    if (id !== undefined && id !== event.cursor) this.odd('an id that is not the cursor');
    if (event.__typename === 'Checkpoint') {
      // Resuming from it would pass over what lies between.
      if (place.seq !== this.lastSeq) this.odd('a checkpoint elsewhere than the last event');
    } else {
      this.seqs.push(place.seq);
      this.tags.push(place.tag);
      this.kinds.push(event.__typename);
      this.arrivals.push(arrival);
      this.onDelivery(this, Date.parse(event.at), arrival);
    }
    this.cursor = event.cursor;
  }

  private async again(how: End): Promise<void> {
    this.isLive = false;
    const codes = typeof how === 'string' ? [how] : how;
    const name = [...new Set(codes)].join();
    this.ends.set(name, (this.ends.get(name) ?? 0) + 1);
    let wait = this.random.between(50, 300);
    if (name === 'FORBIDDEN') {
      this.forbiddenAt.push(Date.now());
      wait = this.random.between(300, 600);
    } else if (this.kind === 'client/') {
      // It comes back by itself.
      this.odd(`client/ gave up: ${name}`);
    } else if (!TRANSIENT.has(name)) {
      this.odd(`an end by ${name}`);
      wait = 1000;
    }
    await pause(wait);
    if (!this.stopped) this.begin();
  }

  private odd(what: string): void {
    this.oddities.set(what, (this.oddities.get(what) ?? 0) + 1);
  }
}
