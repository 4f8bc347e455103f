import { paramsIn } from '../graphql/params.js';
import type { OperationMessage } from './operation-ids.js';

/**
 * Reads what a `subscribe` asks for as every other way in does: null and empty texts stand for nothing, and what is not known is left out.
 * What is no object is left to the core, which refuses it.
 */
export function tidyPayload(message: OperationMessage & { payload?: unknown }): void {
  const { type, payload } = message;
  if (type !== 'subscribe' || typeof payload !== 'object' || payload === null || Array.isArray(payload))
    return;
  message.payload = paramsIn(payload as Record<string, unknown>);
}
