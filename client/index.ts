export { renewLinks, type LinkedFile, type LinkRenewal } from './links.js';
export { default as fragments } from './possible-types.js';
export { resuming, type Gap, type LiveClient, type LiveSink } from './resume.js';
export { Session, type SessionOptions } from './session.js';
export { createSocket, type SocketOptions } from './socket.js';
export { inMemory, inStorage, type Tokens, type TokenStore } from './stores.js';
