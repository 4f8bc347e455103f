import type { App } from '../app.js';
import { leave } from './leave.js';
import type { Program } from './signals.js';

/** A program of one process. There is nothing that it could be rolled to. */
export const alone = (app: App): Program => ({
  stop: (ms) =>
    leave(
      {
        retire: () => app.retire(true),
        close: async () => app.close(),
        drain: async () => app[Symbol.asyncDispose](),
      },
      ms,
    ),
  kill: () => undefined,
});
