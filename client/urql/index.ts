export { liveExchange } from './exchange.js';
export { keys } from './keys.js';
export { logger } from './logger.js';
export { resolvers } from './pages.js';
export { updates } from './updates.js';
