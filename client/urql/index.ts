export { keys, logger, resolvers, updates } from './cache.js';
export { liveExchange } from './exchange.js';
