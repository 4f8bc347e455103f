import type { ProcessMetrics } from '../observability/metrics.js';

/** What the primary tells a worker, in this order. How a server leaves: `App` of app.ts. */
export type ToWorker =
  /** Each answer closes its connection. `isStopping`: the program ends, and `/readyz` says so. */
  | { readonly type: 'retire'; readonly isStopping: boolean }
  /** Take no new connections; answered by `closed`. */
  | { readonly type: 'close' }
  /** At any time: what have you counted? Answered by `metrics`. */
  | { readonly type: 'metrics' }
  /** Let everyone go, finish what is under way, and end with 0. */
  | { readonly type: 'drain' };

/** What a worker tells the primary. */
export type ToPrimary =
  /** It listens, at this address. */
  | { readonly type: 'ready'; readonly url: string }
  /** What it has counted: when it is asked, and as its last word when it has left and METRICS_PORT is set. */
  | { readonly type: 'metrics'; readonly metrics: ProcessMetrics }
  /** It cannot start, for this reason, one line; it ends. */
  | { readonly type: 'failed'; readonly reason: string }
  /** No connection reaches it any more: those on their way were handed back. */
  | { readonly type: 'closed' };
