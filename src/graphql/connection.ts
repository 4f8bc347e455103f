import type { KeysetPage, Slice } from '../db/keyset.js';
import { badInput } from '../errors.js';
import type { PageCursors, PageKey } from './page-cursor.js';

const DEFAULT_PAGE = 20;
const MAX_PAGE = 100;

export interface ConnectionArgs {
  readonly first?: number | null | undefined;
  readonly after?: string | null | undefined;
  readonly last?: number | null | undefined;
  readonly before?: string | null | undefined;
}

/** What Pothos's connection types resolve from. The getters cost nothing unless their field is selected. */
export interface Connection<Row> {
  readonly edges: { readonly cursor: string; readonly node: Row }[];
  readonly pageInfo: {
    readonly hasNextPage: boolean;
    readonly hasPreviousPage: boolean;
    readonly startCursor: string | null;
    readonly endCursor: string | null;
  };
}

/**
 * Answers a page by the Relay Cursor Connections spec. `list` names the list with its parent, filter and order: cursors
 * belong to it. Throws BAD_USER_INPUT for `first` and `last` together or out of range, BAD_CURSOR for a foreign cursor.
 */
export async function connection<Row>(
  cursors: PageCursors,
  list: string,
  args: ConnectionArgs,
  keyOf: (row: Row) => PageKey,
  read: (slice: Slice) => Promise<KeysetPage<Row>>,
): Promise<Connection<Row>> {
  const page = await read({
    ...pageSize(args),
    after: args.after == null ? undefined : cursors.decode(list, args.after, 'after'),
    before: args.before == null ? undefined : cursors.decode(list, args.before, 'before'),
  });
  const cursorOf = (row: Row): string => cursors.encode(list, keyOf(row));
  return { edges: page.rows.map((node) => new Edge(node, cursorOf)), pageInfo: new PageInfo(page, cursorOf) };
}

// Classes, since a getter in an object literal gives each of the objects a hidden class of its own, for the garbage collector to find.

/** Makes its cursor when it is asked for. */
class Edge<Row> {
  constructor(
    readonly node: Row,
    private readonly cursorOf: (row: Row) => string,
  ) {}

  get cursor(): string {
    return this.cursorOf(this.node);
  }
}

class PageInfo<Row> {
  constructor(
    private readonly page: KeysetPage<Row>,
    private readonly cursorOf: (row: Row) => string,
  ) {}

  // A resolver may answer a promise; Pothos's shape of PageInfo does not say so.
  get hasNextPage(): boolean {
    return this.page.hasNext() as unknown as boolean;
  }
  get hasPreviousPage(): boolean {
    return this.page.hasPrevious() as unknown as boolean;
  }
  get startCursor(): string | null {
    return this.cursorAt(0);
  }
  get endCursor(): string | null {
    return this.cursorAt(-1);
  }

  private cursorAt(index: number): string | null {
    const row = this.page.rows.at(index);
    return row === undefined ? null : this.cursorOf(row);
  }
}

function pageSize({ first, last }: ConnectionArgs): { count: number; fromEnd: boolean } {
  if (first != null && last != null) throw badInput('last', 'Give either `first` or `last`, not both.');
  const field = last == null ? 'first' : 'last';
  const count = first ?? last ?? DEFAULT_PAGE;
  if (count < 0 || count > MAX_PAGE) {
    throw badInput(
      field,
      `\`${field}\` must be from 0 to ${String(MAX_PAGE)}: use the cursors to get more pages.`,
    );
  }
  return { count, fromEnd: last != null };
}

/**
 * What a list costs beside its page, where its SQL may read more rows than that: all that match, to count them; or all of the list, to
 * search them. So one operation looks through some twenty to fifty lists (docs/decisions/0041).
 */
export const SCAN_COST = { counted: 400, searched: 1000 } as const;

export interface ListCost {
  readonly field: number;
  readonly multiplier: number;
}

/** The cost of a connection: its page size times what one row costs, and `beside` them. */
export const connectionComplexity = ({ first, last }: ConnectionArgs, beside = 0): ListCost => ({
  field: 1 + beside,
  multiplier: Math.min(Math.max(first ?? last ?? DEFAULT_PAGE, 1), MAX_PAGE),
});
