import type { IncomingMessage } from 'node:http';
import { useCSRFPrevention } from '@graphql-yoga/plugin-csrf-prevention';
import { createGraphQLError, type Plugin } from 'graphql-yoga';
import type { TransportContext } from '../live/execution-plugin.js';
import { isEventSource } from './sse-plugin.js';

/** Those that a browser sends to another site without asking. */
const SIMPLE_METHODS = new Set(['GET', 'HEAD', 'POST']);
const HEADERS = ['x-graphql-yoga-csrf', 'apollo-require-preflight'];

interface NodeContext extends TransportContext {
  readonly req: IncomingMessage;
}

/**
 * A browser sends forms and bare GETs to any site without asking first. So whatever could come that way must carry a header
 * that makes the browser ask (CORS preflight). An EventSource can set none: it may begin a subscription, and nothing else.
 */
export function usePreflight(): Plugin<TransportContext, TransportContext> {
  const { onRequestParse } = useCSRFPrevention({ requestHeaders: HEADERS });
  const lacking = new WeakSet<IncomingMessage>();
  return {
    onRequestParse: (payload) => {
      if (!SIMPLE_METHODS.has(payload.request.method)) return;
      try {
        return onRequestParse?.(payload);
      } catch {
        const { req } = payload.serverContext as unknown as NodeContext;
        if (!isEventSource(req)) throw refusal();
        lacking.add(req);
      }
    },
    onExecute: ({ args }) => {
      const { req } = args.contextValue as Partial<NodeContext>;
      if (req !== undefined && lacking.has(req)) throw refusal();
    },
  };
}

const refusal = (): Error =>
  createGraphQLError(
    `Send this request with the header ${HEADERS.join(' or ')}, with any value, or with \`Content-Type: application/json\`: without either, any website could make a browser send it.`,
    { extensions: { code: 'BAD_REQUEST', http: { status: 403 } } },
  );
