import { stringifyDocument, subscriptionExchange, type Exchange } from '@urql/core';
import type { Gap, LiveClient } from '../resume.js';

declare module '@urql/core' {
  interface OperationContext {
    /**
     * Told when events of this subscription were missed for good. Without it, such a subscription ends with
     * CURSOR_EXPIRED.
     */
    onGap?: (gap: Gap) => void;
  }
}

/**
 * The exchange for subscriptions, over a socket that resumes. `onGap` in the context of an operation is told
 * of gaps: `client.subscription(document, variables, { onGap })`.
 */
export function liveExchange(socket: LiveClient): Exchange {
  return subscriptionExchange({
    forwardSubscription: ({ variables = {}, extensions }, { query, context: { onGap } }) => ({
      subscribe: (sink) => ({
        unsubscribe: socket.subscribe(
          // Of a document that goes by its hash the socket wants the text too.
          { query: stringifyDocument(query), variables, ...(extensions && { extensions }) },
          {
            next: ({ data = null, errors }) => sink.next({ data, ...(errors && { errors }) }),
            error: (error) => sink.error(error),
            complete: () => sink.complete(),
            ...(onGap && { gap: onGap }),
          },
        ),
      }),
    }),
  });
}
