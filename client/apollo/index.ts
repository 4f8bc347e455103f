export {
  applyEvent,
  connection,
  forgetMessages,
  showPosted,
  typePolicies,
  type RoomEventData,
} from './cache.js';
export { liveLink } from './link.js';
