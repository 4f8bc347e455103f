import { parleyPosts } from '../lib/parley-posts.js';

/** Operations on a WebSocket each, where `parley` posts by HTTP. */
export default { title: 'Parley, over sockets', post: { measure: parleyPosts('socket') } };
