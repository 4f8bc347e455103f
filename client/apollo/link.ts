import { ApolloLink } from '@apollo/client';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import type { Client } from 'graphql-ws/client';
import type { Gap, LiveClient } from '../resume.js';

declare module '@apollo/client' {
  interface DefaultContext {
    /** Told when events of this subscription were missed for good. Without it, such a subscription ends with CURSOR_EXPIRED. */
    onGap?: (gap: Gap) => void;
  }
}

/**
 * The terminating link for subscriptions: Apollo's own GraphQLWsLink over a socket that resumes. `onGap` in the context of an
 * operation is told of gaps.
 */
export function liveLink(socket: LiveClient): ApolloLink {
  return new ApolloLink((operation) => {
    const { onGap } = operation.getContext();
    const subscribe: Client['subscribe'] = (payload, sink) =>
      socket.subscribe(payload, { ...sink, ...(onGap && { gap: onGap }) });
    // Of a graphql-ws client the link uses nothing else.
    return new GraphQLWsLink({ subscribe } as Client).request(operation);
  });
}
