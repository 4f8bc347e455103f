import type { Plugin } from 'graphql-yoga';
import type { TransportContext } from '../live/execution-plugin.js';

/** Answers a request that is refused already, before anything of its body is read. */
export function useRefusal(): Plugin<object, TransportContext> {
  return {
    onRequestParse({ serverContext: { refusal } }) {
      if (refusal !== undefined) throw refusal;
    },
  };
}
