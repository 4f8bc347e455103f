export { applyEvent, connection, forgetMessages, typePolicies, type RoomEventData } from './cache.js';
export { liveLink } from './link.js';
