/** One event as it leaves: executed, masked and serialised. */
export interface Answer {
  /** The JSON text of the GraphQL result. */
  readonly text: string;
  /** The event's cursor; undefined where it has no place in a log. */
  readonly cursor: string | undefined;
}

/** Where the answers of one subscription go: an operation on a socket, or an event stream. */
export interface LiveSink {
  /** Whether the connection has taken what it was given. What is sent before that waits in memory. */
  readonly isReady: boolean;
  /** Resolves once it is ready, or gone. */
  ready(): Promise<void>;
  send(batch: Batch): void;
  /** The subscription is over: for `error`, unless it simply ended. Nothing is sent after this. */
  end(error?: unknown): void;
}

/** Answers that leave together, to one subscriber or to many: each transport encodes them once. */
export class Batch {
  private readonly forms = new Map<string, unknown>();

  constructor(readonly answers: readonly Answer[]) {}

  /** What `encode` makes of the answers, made once under this name. */
  form<Form>(name: string, encode: (answers: readonly Answer[]) => Form): Form {
    let form = this.forms.get(name) as Form | undefined;
    if (form === undefined) {
      form = encode(this.answers);
      this.forms.set(name, form);
    }
    return form;
  }
}

/** Bytes of text that leave together at most, but for a single answer that is longer. */
const BATCH_BYTES = 48 * 1024;

/** Cuts answers into batches that a connection can take at once; with how many answers come before each. */
export function batches(answers: readonly Answer[]): { readonly from: number; readonly batch: Batch }[] {
  const cut: { from: number; batch: Batch }[] = [];
  for (let from = 0; from < answers.length;) {
    let to = from;
    let bytes = 0;
    do {
      bytes += answers[to]?.text.length ?? 0;
      to += 1;
    } while (to < answers.length && bytes + (answers[to]?.text.length ?? 0) <= BATCH_BYTES);
    cut.push({ from, batch: new Batch(answers.slice(from, to)) });
    from = to;
  }
  return cut;
}
