export { default as fragments } from './possible-types.js';
export { resuming, type Gap, type LiveClient, type LiveSink } from './resume.js';
export {
  inMemory,
  inStorage,
  Session,
  type SessionOptions,
  type Tokens,
  type TokenStore,
} from './session.js';
export { createSocket, type SocketOptions } from './socket.js';
